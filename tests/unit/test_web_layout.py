"""The pure parts of the web: words out of Markdown, the layout of a comparison, filters, times and pictures."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from tosmon.archive import Activity, ChangeMark, VersionMark
from tosmon.clauses import split
from tosmon.compare import compare, edits
from tosmon.model import ChangeState, ClauseKind, Direction, Flag, Quote, Severity
from tosmon.web.aligned import Fold, Passage, layout
from tosmon.web.filters import Filters, asked
from tosmon.web.pictures import calendar, foremost, story
from tosmon.web.serving import accepts_gzip
from tosmon.web.times import ago, days_until, instant
from tosmon.web.wording import Mark, edited_html, html, wording

NOW = datetime(2026, 11, 3, 9, 12, tzinfo=UTC)

PARTS = [
    "We may ",
    "**train** ",
    "_models_ ",
    "[on ",
    "your](https://a.example/b_c) ",
    "work\\. ",
    "`x` ",
    "\n",
    "  \n",
]
PARTS += ["|", "<b>", "&amp;", "](", "![p](https://t.example/x)", "*", "__", "\\", "日本語", "\u202eabc"]
MARKDOWN = st.lists(st.sampled_from(PARTS), max_size=14).map("".join)


# --- words out of Markdown --------------------------------------------------------------------------------------------


def test_marks_are_gone_and_styles_stay() -> None:
    """Bold, emphasis, code and links are shown as such, the Markdown around them is not."""
    shown = html(wording("We **may** [train *AI*](https://a.example/c(d)) on `x`\\."))

    assert shown == (
        'We <strong>may</strong> <a href="https://a.example/c(d)" rel="nofollow noopener">train </a>'
        '<a href="https://a.example/c(d)" rel="nofollow noopener"><em>AI</em></a> on <code>x</code>.'
    )


@pytest.mark.parametrize("target", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "ftp://x.example", ""])
def test_only_http_and_https_are_linked(target: str) -> None:
    """Any other target leaves the words and drops the link."""
    assert html(wording(f"Read [this]({target}) first")) == "Read this first"


def test_pictures_are_their_description() -> None:
    """Nothing is ever loaded from elsewhere: a picture is shown as what it says it is."""
    assert html(wording("A ![tracking pixel](https://t.example/p.gif) here")) == "A tracking pixel here"


def test_meant_line_breaks_stay_and_wrapped_lines_join() -> None:
    """Two spaces before a line's end mean a break; a line that was only wrapped goes on."""
    assert html(wording("One  \ntwo\nthree")) == "One<br>two three"


def test_a_row_shows_its_cells_without_the_outer_borders() -> None:
    """The borders between cells are kept, apart from the words."""
    assert html(wording("| Print | 10 % |", ClauseKind.ROW)) == ' Print <span class="edge">|</span> 10 % '


@given(MARKDOWN)
def test_whatever_is_written_comes_out_harmless(markdown: str) -> None:
    """No tag but ours, whatever the Markdown; the words are those that `clauses.plain` gives, when it reads them alike."""
    soup = BeautifulSoup(f"<p>{html(wording(markdown))}</p>", "html.parser")

    assert {tag.name for tag in soup(True)} <= {"p", "strong", "em", "code", "a", "br"}
    assert "\u202e" not in str(soup)


@given(MARKDOWN, MARKDOWN)
def test_both_sides_are_whole(before: str, after: str) -> None:
    """What is not marked as added is the old text, what is not marked as removed the new one."""
    old, new = wording(before), wording(after)
    shown = str(edited_html(old, new, edits(old.text, new.text)))

    def side(gone: str) -> str:
        soup = BeautifulSoup(f"<p>{shown}</p>", "html.parser")
        for tag in soup(gone):
            tag.extract()
        return "".join(soup.get_text(" ").replace("\u202e", "").split())

    def expected(markdown: str) -> str:
        return "".join(wording(markdown).text.replace("\u202e", "").split())

    assert side("del") == expected(after)
    assert side("ins") == expected(before)


@given(MARKDOWN, st.data())
def test_a_quote_is_found_again_in_the_plain_words(markdown: str, data: st.DataObject) -> None:
    """Places in the stored Markdown lead to places in the words, in order and within them."""
    words = wording(markdown)
    start = data.draw(st.integers(0, len(markdown)))
    end = data.draw(st.integers(start, len(markdown)))

    assert 0 <= words.place(start) <= words.place(end) <= len(words.text)


def test_a_quote_across_a_link_keeps_its_words() -> None:
    """The quote of stored Markdown, link and all, is marked as the words that people see."""
    stored = "We **may** [train *AI*](https://a.example/x) models\\. Now"
    quote = "train *AI*](https://a.example/x) models"
    words = wording(stored)
    start = stored.index(quote)

    assert words.text[words.place(start) : words.place(start + len(quote))] == "train AI models"


def test_two_flags_on_the_same_words_have_an_anchor_each() -> None:
    """Both are found by their own address, once."""
    shown = str(html(wording("We may train."), [Mark(0, 13, 1, "worse", "flag-1"), Mark(3, 12, 2, "mixed", "flag-2")]))

    assert shown.count('id="flag-1"') == shown.count('id="flag-2"') == 1


def test_a_quote_that_went_is_marked_where_its_words_stayed() -> None:
    """In the inline view a quote of the old text is marked over kept and removed words alike."""
    old, new = wording("We never train models."), wording("We train models.")
    shown = str(edited_html(old, new, edits(old.text, new.text), [Mark(0, 22, 1, "worse", "flag-1")]))

    assert shown.count('id="flag-1"') == 1
    assert "".join(mark.get_text() for mark in BeautifulSoup(shown, "html.parser")("mark")) == "We never train models."


# --- layout -------------------------------------------------------------------------------------------------------


def shape(before: str, after: str, flags: tuple[Flag, ...] = ()) -> list[str]:
    """Folds by their title, passages by the kinds of their rows."""
    laid = layout(compare(split(before), split(after)), flags)
    return [part.title if isinstance(part, Fold) else " ".join(row.kind for row in part.rows) for part in laid.parts]


def test_unchanged_clauses_fold_and_changes_stand_open() -> None:
    """What changed is in full, what did not is one line with its headings."""
    before = "# A\n\nOne.\n\nTwo.\n\n# B\n\nThree is here.\n\n# C\n\nFour."
    after = before.replace("Three is here.", "Three is not here.")

    assert shape(before, after) == ["4 clauses unchanged", "modified", "2 clauses unchanged"]


def test_renumbering_is_counted_not_shown() -> None:
    """An inserted item renumbers those after it; they stay folded."""
    before = "1. Alpha is first\n2. Beta is second\n3. Gamma is third"
    after = "1. Alpha is first\n2. Delta is quite new\n3. Beta is second\n4. Gamma is third"

    assert shape(before, after) == ["1 clause unchanged", "added", "2 clauses renumbered"]


def test_a_removed_clause_stands_where_it_stood() -> None:
    """Between the same neighbours as before."""
    before = "One stays here.\n\nTwo leaves for good.\n\nThree stays too.\n\nFour also."
    parts = layout(compare(split(before), split(before.replace("Two leaves for good.\n\n", "")))).parts

    assert [type(part) for part in parts] == [Fold, Passage, Fold]
    assert [row.clause.text for part in parts for row in part.rows] == [clause.text for clause in split(before)]


def test_a_list_item_brings_what_introduces_it() -> None:
    """ "You grant us:" is shown with the item that was added under it."""
    before = "Intro.\n\nMore.\n\nYou grant us:\n\n- use\n- copy"

    assert shape(before, before + "\n- train models on it")[1:] == ["unchanged", "2 clauses unchanged", "added"]


def test_a_flagged_clause_is_never_folded() -> None:
    """A flag on unchanged words is anchored all the same."""
    text = "One.\n\nTwo.\n\nThree is flagged.\n\nFour."
    flag = Flag("ai_training", Direction.WORSE, "x", (), (Quote("flagged", 2, 9, 16),))

    assert shape(text, text, (flag,)) == ["2 clauses unchanged", "unchanged", "1 clause unchanged"]


def test_a_quote_that_does_not_stand_there_breaks_nothing() -> None:
    """A wrong place in a stored flag leaves the page without that mark."""
    flag = Flag("ai_training", Direction.WORSE, "x", (Quote("x", 99, 0, 1),), (Quote("nope", 0, 0, 4),))

    assert shape("One.", "One.", (flag,)) == ["1 clause unchanged"]


CLAUSES = st.lists(
    st.sampled_from(["# A", "## B", "- x", "1. y", "2. y", "Word here.", "Other words.", "z"]), max_size=10
)


@given(CLAUSES, CLAUSES)
def test_every_clause_of_both_texts_is_shown_once(old: list[str], new: list[str]) -> None:
    """The rows hold the new text in order, and every clause of the old one."""
    before, after = split("\n\n".join(old)), split("\n\n".join(new))
    rows = [row for part in layout(compare(before, after)).parts for row in part.rows]

    assert [row.after for row in rows if row.after is not None] == list(after)
    assert sorted(str(row.before) for row in rows if row.before is not None) == sorted(map(str, before))


# --- filters, times, pictures ---------------------------------------------------------------------------------------


@given(
    st.builds(
        Filters,
        st.none() | st.text(min_size=1, max_size=8).filter(lambda text: text.isprintable()),
        st.none() | st.just("ai_training"),
        st.none() | st.sampled_from(Direction),
        st.none() | st.sampled_from(Severity),
        st.none() | st.dates(),
    )
)
def test_filters_come_back_from_their_address(filters: Filters) -> None:
    """What a view was, is said by its address and nothing else."""
    from urllib.parse import parse_qsl

    assert asked(dict(parse_qsl(filters.query().removeprefix("?")))).filters == filters


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (timedelta(seconds=20), "a moment ago"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(hours=3, minutes=59), "3 hours ago"),
        (timedelta(days=8), "1 week ago"),
        (timedelta(days=800), "2 years ago"),
        (timedelta(minutes=-20), "in 20 minutes"),
    ],
)
def test_times_as_people_say_them(length: timedelta, said: str) -> None:
    """Whole units, the largest that fits."""
    assert ago(NOW - length, NOW) == said


def test_days_until_a_date() -> None:
    """How far off the day is from which terms apply."""
    days = [days_until(NOW.date() + timedelta(days=number), NOW.date()) for number in (28, 1, 0, -1)]

    assert days == ["in 28 days", "in 1 day", "today", "1 day ago"]


def test_a_date_means_its_last_moment() -> None:
    """ "The text on that day" has what came in on it; times without a zone are UTC; anything else is nothing."""
    assert instant("2024-11-01") == datetime(2024, 11, 1, 23, 59, 59, 999999, UTC)
    assert instant("2024-11-01T12:00") == datetime(2024, 11, 1, 12, tzinfo=UTC)
    assert instant("2024-11-01T12:00+02:00") == datetime(2024, 11, 1, 10, tzinfo=UTC)
    assert instant("0001-01-01T00:00+14:00") is None
    assert instant("2024-13-01") is None and instant("yesterday") is None


def test_the_calendar_holds_a_year_up_to_today() -> None:
    """53 weeks, Monday on top, today last; busy days weigh more."""
    active = [
        Activity(NOW.date(), Severity.HIGH, 1),
        Activity(NOW.date(), Severity.LOW, 4),
        Activity(date(2020, 1, 1), Severity.LOW, 9),
    ]
    drawn = calendar(active, NOW.date())

    assert drawn.first == date(2025, 11, 3) and drawn.first.weekday() == 0
    [cell] = drawn.cells
    assert (cell.changes, cell.high, cell.weight) == (5, 1, 3)
    assert cell.words == "3 November 2026: 5 changes, 1 of high severity"
    assert cell.x + drawn.cell <= drawn.width and drawn.grid.count("M") == 366


def test_days_before_the_first_look_are_told_apart() -> None:
    """Nobody looked then, which is not the same as no change."""
    drawn = calendar([], NOW.date(), NOW.date() - timedelta(days=9))
    old = calendar([], NOW.date(), date(2020, 1, 1))

    assert drawn.grid.count("M") == 10 and drawn.unseen.count("M") == 356
    assert drawn.looked_from == NOW.date() - timedelta(days=9)
    assert (old.unseen, old.looked_from) == ("", None)


def test_a_story_needs_two_versions() -> None:
    """One version is no story; with two there is a line from the first to today."""
    versions = [VersionMark(1, NOW - timedelta(days=30), 100, False), VersionMark(2, NOW, 200, False)]
    mark = ChangeMark(1, 1, 2, NOW, ChangeState.TOLD, Severity.HIGH, "x", (Direction.WORSE,))
    drawn = story(versions, [mark], NOW)

    assert story(versions[:1], [], NOW) is None
    assert drawn is not None and (drawn.fewest, drawn.most) == (100, 200)
    assert drawn.points[0].direction is Direction.WORSE and drawn.points[0].x <= drawn.width


def test_better_and_worse_together_are_mixed() -> None:
    """A change as a whole is marked by what its flags say together."""
    assert foremost([Direction.BETTER, Direction.WORSE]) is Direction.MIXED
    assert foremost([Direction.NEUTRAL, Direction.BETTER]) is Direction.BETTER
    assert foremost([]) is None


@pytest.mark.parametrize(
    ("header", "accepted"),
    [("gzip, br", True), ("*", True), ("br", False), ("gzip;q=0", False), ("gzip; q=0.0", False), ("gzip;q=0.5", True)],
)
def test_gzip_only_when_it_is_wanted(header: str, accepted: bool) -> None:
    """The weight of zero forbids it (RFC 9110, 12.5.3)."""
    assert accepts_gzip(header) is accepted
