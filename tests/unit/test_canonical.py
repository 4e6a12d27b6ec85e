"""Sameness: each cosmetic row of the table of changes is a law, and so is its reverse."""

from __future__ import annotations

import re
import string
import time
from datetime import date, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tosmon.clauses.canonical import canonical, words

WORD = st.text(alphabet=string.ascii_lowercase, min_size=2, max_size=9)
SENTENCE = st.lists(WORD, min_size=3, max_size=12)
DAY = st.dates(date(2001, 1, 1), date(2079, 12, 31))
MONTHS = [f"{date(2000, month, 1):%B}" for month in range(1, 13)]


def spoken(day: date) -> str:
    return f"{MONTHS[day.month - 1]} {day.day}, {day.year}"


# --- what is the same ------------------------------------------------------------------------------------------------


@given(
    SENTENCE,
    st.lists(st.sampled_from([" ", "  ", "\n", "\t", "\u00a0", "\u2009", " \u200b"]), min_size=12, max_size=12),
)
def test_white_space_is_cosmetic(sentence: list[str], gaps: list[str]) -> None:
    """However words are spaced and wrapped, the clause is the same."""
    spaced = "".join(word + gap for word, gap in zip(sentence, gaps, strict=False))

    assert canonical(spaced) == canonical(" ".join(sentence))


@given(SENTENCE)
def test_letter_case_is_cosmetic(sentence: list[str]) -> None:
    """A clause in capitals is the same clause."""
    text = " ".join(sentence)

    assert canonical(text.upper()) == canonical(text) == canonical(text.title())


@given(SENTENCE, st.lists(st.sampled_from(list(",;:.!?…–—-“”«»()·'’\"")), min_size=12, max_size=12))
def test_punctuation_is_cosmetic(sentence: list[str], marks: list[str]) -> None:
    """Commas, quotes, dashes and full stops between words change nothing."""
    dotted = " ".join(word + mark for word, mark in zip(sentence, marks, strict=False))

    assert canonical(dotted) == canonical(" ".join(sentence))


@given(
    SENTENCE, st.sampled_from(["**{}**", "*{}*", "__{}__", "_{}_", "`{}`", "***{}***", "<strong>{}</strong>", "{}<br>"])
)
def test_bold_and_italics_are_cosmetic(sentence: list[str], form: str) -> None:
    """Emphasis on a part of a clause changes nothing."""
    marked = " ".join([form.format(sentence[0]), *sentence[1:]])

    assert canonical(marked) == canonical(" ".join(sentence))


@given(
    SENTENCE,
    st.sampled_from(["1. ", "1.2 ", "12.3.4. ", "(a) ", "b) ", "iv. ", "(ii) ", "- ", "* ", "• ", "## ", "**3\\. "]),
)
def test_the_marker_that_opens_a_clause_is_cosmetic(sentence: list[str], marker: str) -> None:
    """A renumbered clause is the same clause."""
    text = " ".join(sentence).capitalize()

    assert canonical(marker + text) == canonical(text)


@given(SENTENCE, WORD, st.from_regex(r"https://[a-z]{3,9}\.test/[a-z]{0,9}(\?utm_source=[a-z]{3})?", fullmatch=True))
def test_link_targets_are_cosmetic(sentence: list[str], label: str, target: str) -> None:
    """Only a link's text counts."""
    text = " ".join(sentence)

    assert canonical(f"{text} [{label}]({target})") == canonical(f"{text} {label}")


def test_links_with_brackets_spaces_and_images_inside_lose_only_their_targets() -> None:
    """Links as converters write them, not only as the standard has them."""
    assert canonical("see [\\[the\\] list](#Old List (2020))") == canonical("see the list")
    assert canonical("[![](a.png) Terms](https://a.test/x_(y))") == canonical("Terms")


@given(SENTENCE, st.sampled_from(["utm_source=mail", "gclid=Xy12", "fbclid=zz", "ref=footer"]))
def test_tracking_parameters_in_shown_addresses_are_cosmetic(sentence: list[str], parameter: str) -> None:
    """An address in the text is the same with and without what tracks its readers."""
    text = " ".join(sentence) + " https://www.acme.test/terms/eu"

    assert canonical(f"{text}?{parameter}") == canonical(text) == canonical(f"{text}/")


def hidden(address: str, key: int) -> str:
    digits = "".join(f"{byte ^ key:02x}" for byte in address.encode())
    return f"[\\[email\u00a0protected\\]](https://acme.test/cdn-cgi/l/email-protection#{key:02x}{digits})"


@given(SENTENCE, st.from_regex(r"[a-z]{2,8}(\.[a-z]{2,5})?@[a-z]{3,9}\.test", fullmatch=True), st.integers(0, 255))
def test_an_obfuscated_address_is_the_address(sentence: list[str], address: str, key: int) -> None:
    """What a content delivery network hides in hexadecimal is decoded."""
    text = " ".join(sentence)

    assert canonical(f"{text} {hidden(address, key)}") == canonical(f"{text} {address}")
    assert canonical(f"{text} {address.replace('@', ' [at] ').replace('.', ' [dot] ')}") == canonical(
        f"{text} {address}"
    )


@given(st.sampled_from(["Last updated {}", "Updated: {}", "{}"]), st.integers(2, 300), st.integers(2, 300))
def test_a_relative_clock_is_cosmetic(line: str, before: int, after: int) -> None:
    """A line that says how long ago it was changed ticks by itself."""
    assert canonical(line.format(f"{before} days ago")) == canonical(line.format(f"{after} hours ago"))


@given(SENTENCE, DAY)
def test_another_format_of_the_same_date_is_cosmetic(sentence: list[str], day: date) -> None:
    """A date that can mean only one day is that day, however it is written."""
    month = MONTHS[day.month - 1]
    ordinal = "th" if 10 < day.day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day.day % 10, "th")
    forms = [
        f"{month} {day.day}, {day.year}",
        f"{month[:3]}. {day.day} {day.year}",
        f"{day.day}{ordinal} of {month} {day.year}",
        f"{day:%d.%m.%Y}",
        f"{day:%Y-%m-%d}",
        f"{day.year}年{day.month}月{day.day}日",
    ]

    assert len({canonical(" ".join([*sentence, form, "on"])) for form in forms}) == 1


def test_the_third_letter_of_a_list_and_the_copyright_sign_are_one() -> None:
    """Word processors turn (c) into ©."""
    assert canonical("(a) times; © dates") == canonical("(a) times; (c) dates")


# --- what is not -----------------------------------------------------------------------------------------------------


@given(SENTENCE, st.data())
def test_a_changed_word_is_never_the_same(sentence: list[str], data: st.DataObject) -> None:
    """One other word makes another clause."""
    place = data.draw(st.integers(0, len(sentence) - 1))
    other = data.draw(WORD.filter(lambda word: word != sentence[place]))
    changed = [*sentence[:place], other, *sentence[place + 1 :]]
    assume("".join(changed) != "".join(sentence))

    assert canonical(" ".join(changed)) != canonical(" ".join(sentence))


@given(
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.sampled_from(["within {} days of notice", "pay {}", "Section {} applies"]),
)
def test_a_changed_number_in_a_sentence_is_never_the_same(one: int, other: int, sentence: str) -> None:
    """Periods, amounts and cross-references count."""
    assume(one != other)

    assert canonical(sentence.format(one)) != canonical(sentence.format(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a fee of 1.5 percent", "a fee of 15 percent"),
        ("1,000 users", "10,00 users"),
        ("sections 3.12 and 4", "sections 31.2 and 4"),
        ("pay 5 10 times", "pay 510 times"),
        ("between 3-5 days", "between 35 days"),
        ("1.5 times the fee", "2.5 times the fee"),
        ("for children under 13", "for children under 16"),
        ("ages 18+", "ages 18"),
        ("for groups < 5", "for groups > 5"),
        ("10² cells", "102 cells"),
    ],
)
def test_what_parts_numbers_counts(one: str, other: str) -> None:
    """Between digits, punctuation is not cosmetic."""
    assert canonical(one) != canonical(other)


@given(
    st.integers(1_000, 10**9),
    st.integers(0, 99),
    st.permutations([(",", "."), (".", ","), (" ", ","), ("\u202f", ",")]),
)
def test_one_amount_in_the_notations_of_countries_is_the_same(
    units: int, cents: int, notations: list[tuple[str, str]]
) -> None:
    """1,234.50 and 1 234,50 are one amount."""
    written = [f"{units:,}".replace(",", group) + f"{point}{cents:02}" for group, point in notations]

    assert len({canonical(f"a capital of {amount} euros") for amount in written}) == 1
    assert canonical(f"a capital of {written[0]} euros") != canonical(f"a capital of {units + 1:,}.{cents:02} euros")


@given(SENTENCE, st.sampled_from(["not", "never", "no", "without"]), st.data())
def test_a_negation_is_never_lost(sentence: list[str], negation: str, data: st.DataObject) -> None:
    """One small word turns a promise round."""
    place = data.draw(st.integers(0, len(sentence)))

    assert canonical(" ".join([*sentence[:place], negation, *sentence[place:]])) != canonical(" ".join(sentence))


@given(SENTENCE, st.permutations(["may", "must", "shall", "can", "will", "should"]))
def test_modal_verbs_are_told_apart(sentence: list[str], modals: list[str]) -> None:
    """May is not must."""
    assert canonical(" ".join(["we", modals[0], *sentence])) != canonical(" ".join(["we", modals[1], *sentence]))


@given(st.integers(1, 10**5), st.permutations(["$", "€", "£", "¥", "%", "₹", ""]))
def test_currency_and_percent_signs_count(amount: int, signs: list[str]) -> None:
    """The same figure in another currency is another amount."""
    assert canonical(f"a fee of {signs[0]}{amount} applies") != canonical(f"a fee of {signs[1]}{amount} applies")


@given(DAY, st.integers(1, 4000), st.booleans())
def test_another_day_is_never_the_same(day: date, later: int, dotted: bool) -> None:
    """A real date that changes is a change, in every format."""
    other = day + timedelta(days=later)
    write = (lambda d: f"{d:%d.%m.%Y}") if dotted else spoken

    assert canonical(f"Effective {write(day)}") != canonical(f"Effective {write(other)}")


@given(st.integers(1, 12), st.integers(1, 12), st.integers(2001, 2079))
def test_an_ambiguous_date_equals_only_itself(one: int, two: int, year: int) -> None:
    """03/04/2025 is neither of the two days that it may be."""
    assume(one != two)
    ambiguous = canonical(f"from {one:02}/{two:02}/{year}")

    assert ambiguous != canonical(f"from {two:02}/{one:02}/{year}")
    assert ambiguous not in {canonical(f"from {spoken(date(year, a, b))}") for a, b in ((one, two), (two, one))}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("write to privacy@acme.test", "write to legal@acme.test"),
        ("write to data-protection@acme.test", "write to dataprotection@acme.test"),
        ("call +1-888-555-0101", "call +1-888-555-0102"),
        ("see https://acme.test/a-b", "see https://acme.test/ab"),
        ("see https://acme.test/optout?form=eu", "see https://acme.test/optout?form=us"),
        ("We sell: ✓", "We sell: ✗"),
        ("accounts not used for 30 days ago are deleted", "accounts not used for 60 days ago are deleted"),
        (
            "We delete accounts last updated 30 days ago, always.",
            "We delete accounts last updated 60 days ago, always.",
        ),
        ("15. November 2024 gilt dies", "16. November 2024 gilt dies"),
        ("updated 3 March 2024", "updated 3 days ago"),
        ("हम डेटा बेचते हैं", "हम डेटा बेचती हैं"),
        ("<your name> agrees", "<our name> agrees"),
    ],
)
def test_contacts_ticks_and_vowel_signs_count(one: str, other: str) -> None:
    """What a reader would act upon is never cosmetic."""
    assert canonical(one) != canonical(other)


# --- both ------------------------------------------------------------------------------------------------------------


@given(st.text())
def test_any_text_has_a_canonical_form_and_words(text: str) -> None:
    """No page, however broken, stops a comparison; and no carrier sign leaks."""
    form = canonical(text)

    assert not re.search("[\x00-\x1f]", form + "".join(words(text)))
    assert form == canonical(text)


@given(SENTENCE)
def test_words_are_the_words_of_the_canonical_form(sentence: list[str]) -> None:
    """Likeness is measured on what sameness looks at."""
    text = " ".join(sentence)

    assert words(text) == sentence
    assert "".join(words(f"**{text.upper()}**, again")) == canonical(f"{text} again")


def test_scripts_without_spaces_give_single_letters() -> None:
    """A reworded Chinese or Japanese clause still resembles the old one."""
    assert words("我们可以使用") == list("我们可以使用")


def test_hostile_text_is_read_in_linear_time() -> None:
    """Runs made to exhaust a pattern cost no more than prose."""
    started = time.process_time()
    for hostile in (
        "[" * 50_000,
        "[a](" * 20_000,
        "a@" * 40_000,
        "(a" * 40_000,
        "1." * 50_000,
        "<a " * 30_000,
        "&" * 80_000,
    ):
        canonical(hostile + " 2024 ](")

    assert time.process_time() - started < 5
