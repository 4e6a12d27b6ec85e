"""What people are told of, judged from one pair of texts: noise is recognised, and nothing real is lost in it."""

from __future__ import annotations

import time
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tosmon.clauses import split
from tosmon.compare import compare
from tosmon.compare.substance import Substance, substance
from tosmon.model import ClauseChangeKind

TERMS = """# Terms of Acme

Last updated: 1 May 2024

## 1. Your content

You keep what is yours. You grant us a licence to show your posts to other people. We never sell your posts.

We may share data with partners that help us to run the service, and only for that.

* You must be at least 13 years old.
* You may not copy the service or take it apart.
* You may close your account at any time.

## 2. Contact

Write to legal@acme.test or to Acme Ltd, 1 High Street, Springfield.

| Partner | Purpose |
| --- | --- |
| Bluebird Mail | sends our letters |
| Redwood Cloud | stores your posts |
"""


def judged(after: str, before: str = TERMS) -> Substance:
    return substance(compare(split(before), split(after)))


def edited(old: str, new: str) -> Substance:
    assert old in TERMS
    return judged(TERMS.replace(old, new))


# --- real ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("We never sell", "We sell"),
        ("You may not copy", "You may copy"),
        ("13 years", "16 years"),
        ("partners that help", "sponsors that help"),
        ("legal@acme.test", "office@acme.test"),
        ("1 High Street", "2 High Street"),
        ("Acme Ltd", "Acme Inc"),
        (" We never sell your posts.", ""),
        ("| Redwood Cloud | stores your posts |\n", ""),
        (
            "| Redwood Cloud | stores your posts |\n",
            "| Redwood Cloud | stores your posts |\n| Owl Ads | shows advertisements |\n",
        ),
        ("* You may close your account at any time.\n", ""),
        ("with partners that help us to run the service, and only for that.", "with partners."),
        ("You grant us a licence", "You grant us a perpetual licence"),
        ("help us to run", "hlep us to run"),
    ],
)
def test_a_changed_word_number_name_or_contact_is_told(old: str, new: str) -> None:
    """A word, also a mended typo, a number, a negation, a contact, an entry of a vendor list."""
    outcome = edited(old, new)

    assert outcome.told
    assert outcome.telling


def test_a_removed_promise_is_told_though_nothing_was_added() -> None:
    """The removed sentence is the news."""
    outcome = edited("You keep what is yours. ", "")

    assert (outcome.told, len(outcome.telling)) == (True, 1)


def test_a_removed_sentence_is_told_though_a_longer_one_holds_its_words() -> None:
    """What stays says less than what went."""
    before = TERMS + "\nWe may share your data if you ask us to.\n\nWe may share your data.\n"

    assert judged(before.replace("\nWe may share your data.\n", ""), before).told


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("1.5 million users may join.", "2.5 million users may join."),
        ("15. November 2024 gilt.", "16. November 2024 gilt."),
    ],
)
def test_a_quantity_that_opens_a_clause_is_no_marker(before: str, after: str) -> None:
    """Numbers at the start of a sentence count as numbers in it."""
    assert judged(after, before).told


def test_a_real_edit_among_noise_is_told_and_named() -> None:
    """Noise in the same change neither hides the edit nor counts as it."""
    after = TERMS.replace("We never sell", "We may sell") + "\n[Home](/)\n\n[Careers](/jobs)\n\n[Blog](/blog)\n"
    outcome = judged(after)

    assert [change.kind for change in outcome.telling] == [ClauseChangeKind.MODIFIED]


def test_an_added_announcement_is_told() -> None:
    """Announced and in force are two moments; the first is the news."""
    notice = "We're updating our terms. The new terms take effect on 1 July 2024.\n\n"
    outcome = judged(notice + TERMS)

    assert (outcome.told, outcome.effective_date) == (True, date(2024, 7, 1))


def test_one_respelled_word_is_a_mended_typo() -> None:
    """Another region's spelling shows in many words; one word is an edit like any other."""
    assert edited("a licence to show", "a license to show").told


# --- noise -----------------------------------------------------------------------------------------------------------


def test_a_language_picker_is_told_to_nobody() -> None:
    """Languages, in themselves or in English, with the region where they are spoken so, are no terms."""
    picker = ("English (UK)", "Español (Mexico/Latin America)", "中文（简体）", "Português (Brazil)", "Polish", "ไทย")
    menu = "\n\n".join(picker)

    assert not judged(f"{menu}\n\n{TERMS}").told
    assert judged(f"English law applies.\n\n{TERMS}").told


def test_a_title_set_elsewhere_is_told_to_nobody() -> None:
    """A document that loses one of its two titles says what it said; one that gets another name does not."""
    twice = f"ACME TERMS AND CONDITIONS OF SERVICE\n\n{TERMS}"

    assert not judged(TERMS, twice).told
    assert not judged(twice, TERMS).told
    assert edited("# Terms of Acme", "# Rules of Bcme").told


def test_list_marks_lost_where_paragraphs_are_cut_are_told_to_nobody() -> None:
    """The items of a list that was run into one paragraph are the same items."""
    run = "We are liable where damages (1). come from gross negligence of ours or (2). were caused by will."
    cut = "We are liable where damages\n\ncome from gross negligence of ours or\n\nwere caused by will."

    assert not judged(TERMS + "\n" + cut, TERMS + "\n" + run).told
    assert judged(TERMS + "\n" + cut.replace("gross ", ""), TERMS + "\n" + run).told


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("We never sell your posts.", "**We never** sell your posts!"),
        ("## 2. Contact", "## 3. Contact"),
        ("legal@acme.test", "[\\[email protected\\]](https://acme.test/cdn-cgi/l/email-protection)"),
        ("legal@acme.test", "le[\\[email protected\\]](https://acme.test/cdn-cgi/l/email-protection)"),
        ("1 May 2024", "May 1, 2024"),
        ("to other people. We never", "to other people.\n\nWe never"),
        ("your posts.\n\nWe may share", "your posts. We may share"),
        (
            "| Bluebird Mail | sends our letters |\n| Redwood Cloud | stores your posts |",
            "| Redwood Cloud | stores your posts |\n| Bluebird Mail | sends our letters |",
        ),
        ("# Terms of Acme\n", "# Terms of Acme\n\n[Home](/)\n\n[About us](/about)\n\nWas this article helpful?\n"),
        ("## 2. Contact", "Related articles\n\n[How to log in](/help/1)\n\n[How to pay](/help/2)\n\n## 2. Contact"),
        ("## 2. Contact", "## 2. Contact\n\n![](https://acme.test/pixel.gif)"),
        ("Last updated: 1 May 2024\n\n", ""),
        (
            "* You must be at least 13 years old.",
            "* You must be at least 13 years old.\n* You must be at least 13 years old.",
        ),
    ],
)
def test_the_pages_own_changes_are_not_told(old: str, new: str) -> None:
    """Typography, numbering, hidden addresses, order, cuts, menus, pictures, copies."""
    outcome = edited(old, new)

    assert not outcome.told, outcome
    assert outcome.reason


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("# 4 Payments", "# 5 Payments"),
        ("### 8Links", "### Links"),
        ("# Section 4: Payments", "# Section 5: Payments"),
        ("**4. Payments.** You pay.", "**5. Payments.** You pay."),
    ],
)
def test_a_renumbered_heading_is_not_told(before: str, after: str) -> None:
    """One inserted section renumbers all that follow."""
    assert not judged(after + "\n\n" + TERMS, before + "\n\n" + TERMS).told


def test_words_that_move_between_neighbours_are_not_told() -> None:
    """A sentence that closes one paragraph or opens the next says the same."""
    after = TERMS.replace(" We never sell your posts.\n\nWe may", "\n\nWe never sell your posts. We may")

    assert not judged(after).told


def test_a_removed_announcement_is_not_told() -> None:
    """What it announced was told when it came."""
    assert not judged(TERMS, "We've updated our terms to cover new features.\n\n" + TERMS).told


def test_a_menu_with_a_sentence_of_advertising_is_not_told() -> None:
    """Cards, forms and teasers come in blocks of which most is plainly no term."""
    block = (
        "### Get started\n\nThe quickest way to a happy team.\n\n[Learn more](/more)\n\n"
        "[Contact sales](/sales)\n\nLoading…\n\n"
    )

    assert not judged(TERMS + block).told


def test_a_consent_widget_is_not_told() -> None:
    """The widgets are the same on thousands of sites."""
    widget = (
        "Strictly Necessary Cookies\n\nThese cookies are necessary for the website to function and cannot be"
        " switched off.\n\n"
        "Always Active\n\nPerformance\n\nThese cookies allow us to count visits and traffic sources.\n\nConfirm My"
        " Choices\n\n"
        "[Cookies Details](#)\n\nAllow All\n\nReject All\n"
    )

    assert not judged(TERMS + "\n" + widget).told


def test_a_counter_is_not_told() -> None:
    """Views and votes count by themselves."""
    line = "\n\n{} people found this helpful. Was this page helpful?"

    assert not judged(TERMS + line.format(117), TERMS + line.format(94)).told


def test_an_error_page_is_not_told() -> None:
    """A page that is gone is an incident, not a change of the terms; nor is its recovery."""
    error = "# Sorry\n\nThis page isn't available. Please try again later."

    assert not judged(error).told
    assert not judged(TERMS, error).told


def test_another_language_is_not_told() -> None:
    """A flip to the same terms in another language says nothing new."""
    english = "\n\n".join(
        f"You agree that we may use the data of your account for the purpose number {n}." for n in range(9)
    )
    german = "\n\n".join(
        f"Sie sind damit einverstanden, dass wir die Daten für den Zweck {n} nutzen und auf sie zugreifen."
        for n in range(9)
    )

    assert not judged(german, english).told


def test_another_regions_spelling_is_not_told() -> None:
    """Many words respelled one way are a variant of the page, not an edit."""
    british = (
        "We organise and analyse data.\n\nWe personalise the colour of ads.\n\nThe behaviour of our centre is honoured."
    )
    american = (
        "We organize and analyze data.\n\nWe personalize the color of ads.\n\nThe behavior of our center is honored."
    )

    assert not judged(american, british).told
    assert judged(american.replace("organize and", "organize, sell and"), british).told


def test_a_link_shown_by_label_or_address_is_the_same() -> None:
    """Where a link leads is its target, however it is shown."""
    before = "Opt out at [https://account.acme.test/optout](https://account.acme.test/optout) any time."
    after = "Opt out at [https://www.acme.test/settings/optout](https://www.acme.test/settings/optout) any time."

    assert not judged(after, before).told
    assert judged(after.replace("acme.test", "apex.test"), before).told


def test_contacts_are_no_link_list() -> None:
    """A line that holds nothing but an address to write to is a term all the same."""
    assert judged(
        "DPO: [privacy@acme.test](mailto:privacy@acme.test)", "DPO: [legal@acme.test](mailto:legal@acme.test)"
    ).told
    assert judged(TERMS + "\nE-mail: [dmca@acme.test](mailto:dmca@acme.test)\n").told


# --- dates -----------------------------------------------------------------------------------------------------------


def test_a_new_stamp_alone_is_told_as_date_only_and_silent() -> None:
    """The date says "changed", the text does not."""
    outcome = edited("1 May 2024", "1 June 2024")

    assert (outcome.told, outcome.date_only, outcome.silent) == (True, True, True)


def test_a_stamp_that_moves_by_a_day_is_told_too() -> None:
    """A date alone is told, as date-only, however little it moves."""
    assert edited("1 May 2024", "2 May 2024").date_only
    assert judged("Effective date: 2 May 2024", "Effective date: 1 May 2024").date_only


def test_a_silent_edit_is_marked() -> None:
    """The text says something else, the date does not say so."""
    assert edited("13 years", "16 years").silent
    assert not judged(TERMS.replace("13 years", "16 years").replace("1 May", "1 June")).silent


def test_the_effective_date_is_read_from_what_was_added() -> None:
    """A date that stood there before is not news."""
    before = TERMS + "\nEffective date: 1 May 2024\n"

    assert judged(before.replace("1 May", "1 July").replace("13 years", "16 years"), before).effective_date == date(
        2024, 7, 1
    )
    assert judged(before.replace("13 years", "16 years"), before).effective_date is None


# --- laws ------------------------------------------------------------------------------------------------------------

WORD = st.sampled_from(
    ["data", "posts", "you", "share", "may", "never", "partners", "we", "account", "fees", "close", "licence"]
)
CLAUSE = st.lists(WORD, min_size=4, max_size=14).map(lambda found: " ".join(found).capitalize() + ".")


@given(st.lists(CLAUSE, min_size=2, max_size=8, unique=True))
def test_nothing_is_told_of_the_same_text(clauses: list[str]) -> None:
    """Without a change nobody is told, whatever stands there."""
    assert not judged("\n\n".join(clauses), "\n\n".join(clauses)).told


@settings(max_examples=200)
@given(st.lists(CLAUSE, min_size=2, max_size=8, unique=True), st.data())
def test_a_new_word_is_always_told(clauses: list[str], data: st.DataObject) -> None:
    """No sieve lets a word through that the old text never had."""
    place = data.draw(st.integers(0, len(clauses) - 1))
    inner = clauses[place].split(" ")
    at = data.draw(st.integers(1, len(inner) - 1))
    changed = " ".join([*inner[:at], "arbitration", *inner[at:]])

    assert judged("\n\n".join([*clauses[:place], changed, *clauses[place + 1 :]]), "\n\n".join(clauses)).told


@settings(max_examples=200)
@given(st.lists(CLAUSE, min_size=3, max_size=8, unique=True), st.data())
def test_a_removed_negation_is_always_told(clauses: list[str], data: st.DataObject) -> None:
    """Though every word of the new text stood in the old one."""
    place = data.draw(st.integers(0, len(clauses) - 1))
    before = [*clauses[:place], "We will not let strangers read it.", *clauses[place:]]
    after = [*clauses[:place], "We will let strangers read it.", *clauses[place:]]

    assert judged("\n\n".join(after), "\n\n".join(before)).told


@given(st.lists(CLAUSE, min_size=3, max_size=8, unique=True), st.randoms(use_true_random=False))
def test_clauses_in_another_order_are_not_told(clauses: list[str], random: st.DataObject) -> None:
    """Order alone is shown, not told."""
    other = list(clauses)
    random.shuffle(other)  # type: ignore[attr-defined]

    assert not judged("\n\n".join(other), "\n\n".join(clauses)).told


def test_hostile_clauses_are_judged_in_bounded_time() -> None:
    """Text made to exhaust a pattern costs seconds at most."""
    started = time.process_time()
    for hostile in (
        "[a](b)" * 8000,
        "a." * 30_000,
        "email protected " * 5000,
        "[prior " * 20_000,
        "1 May 2024 " * 5000,
    ):
        judged(TERMS + hostile + " x", TERMS + hostile + " y")

    assert time.process_time() - started < 30
