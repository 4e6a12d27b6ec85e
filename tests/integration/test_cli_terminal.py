"""What tosmon prints, whatever strangers wrote."""

from __future__ import annotations

import io
import json
import logging
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tosmon.cli.showing import marked
from tosmon.cli.terminal import _Harmless, ago, as_json, both, exact, harmless, one_line, styled
from tosmon.model import Direction, Edit, EditKind, TermsKey

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
OBEYED = [
    *map(chr, range(0x20)),
    "\x7f",
    *map(chr, range(0x80, 0xA0)),
    "\u202a",
    "\u202e",
    "\u2066",
    "\u2069",
    "\ud800",
]
HOSTILE = [
    "\x1b]0;owned\x07title",
    "\x1b[2J\x1b[1;1Hcleared",
    "\x9b31mred",
    "\x1b]52;c;cm0gLXJm\x07clipboard",
    "harmless\rFAKE LINE",
    "exe.\u202etxt",
    "\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\",
]

texts = st.text(st.characters(), max_size=200) | st.lists(st.sampled_from([*OBEYED, "a", " "])).map("".join)


def printed(renderable: object, *, terminal: bool = True) -> str:
    stream = io.StringIO()
    Console(file=stream, force_terminal=terminal, width=100, color_system=None, markup=False).print(renderable)
    return stream.getvalue()


@given(texts)
def test_nothing_that_a_terminal_obeys_is_printed(text: str) -> None:
    """Escape sequences, control characters and marks that turn text around never reach the terminal."""
    allowed = {"\n"}
    for shown in (harmless(text), one_line(text), styled(text).plain):
        assert not [character for character in shown if character in OBEYED and character not in allowed]


@pytest.mark.parametrize("text", HOSTILE)
def test_known_attacks_come_out_as_plain_words(text: str) -> None:
    """Titles, cleared screens, clipboards, links and overwritten lines: what is left is text."""
    for shown in (printed(styled(text)), printed(marked([Edit(EditKind.ADDED, text)])), as_json({"text": text})):
        assert not set(shown) & (set(OBEYED) - {"\n"})


def test_markup_of_the_terminal_library_is_printed_as_it_stands() -> None:
    """Square brackets in a clause are not styles."""
    assert printed(styled("[bold]we[/bold] may [link=http://evil.example]train[/link]")).strip() == (
        "[bold]we[/bold] may [link=http://evil.example]train[/link]"
    )


@given(texts)
def test_harmless_text_stays_as_it_is(text: str) -> None:
    """What was made harmless once is not changed again, and readable characters of any language stay."""
    assert harmless(harmless(text)) == harmless(text)
    assert harmless("Größe, 用户, مستخدم, naïve — “quoted” 🙂\nsecond line") == (
        "Größe, 用户, مستخدم, naïve — “quoted” 🙂\nsecond line"
    )


@given(texts)
def test_json_says_exactly_what_was_there(text: str) -> None:
    """Escaping for the terminal loses nothing: a program reads the same text back."""
    assert json.loads(as_json({"text": text})) == {"text": text}


def test_json_spells_our_values_plainly() -> None:
    """Times carry their offset, enums their value, bytes are hexadecimal, sets are sorted."""
    value = {
        "key": TermsKey("A", "B"),
        "at": NOW,
        "day": date(2026, 3, 1),
        "wait": timedelta(minutes=1),
        "digest": b"\x01\xff",
        "names": frozenset({"b", "a"}),
        "direction": Direction.WORSE,
        "none": None,
        "pair": (1, 2.5, True),
    }
    assert json.loads(as_json(value)) == {
        "key": {"service": "A", "type": "B"},
        "at": "2026-03-01T12:00:00+00:00",
        "day": "2026-03-01",
        "wait": 60.0,
        "digest": "01ff",
        "names": ["a", "b"],
        "direction": "worse",
        "none": None,
        "pair": [1, 2.5, True],
    }


def test_marks_do_not_depend_on_colour() -> None:
    """In a pipe, words that went and came stand in brackets."""
    runs = [
        Edit(EditKind.SAME, "We may "),
        Edit(EditKind.REMOVED, "not "),
        Edit(EditKind.ADDED, "now "),
        Edit(EditKind.SAME, "train."),
    ]

    assert marked(runs, colour=False).plain == "We may [-not -]{+now +}train."
    assert marked(runs, colour=True).plain == "We may not now train."


@pytest.mark.parametrize(
    ("before", "told"),
    [
        (timedelta(seconds=20), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(hours=3, minutes=59), "3 hours ago"),
        (timedelta(days=2), "2 days ago"),
        (timedelta(days=40), "1 month ago"),
        (timedelta(days=800), "2 years ago"),
        (-timedelta(minutes=10), "in 10 minutes"),
        (-timedelta(seconds=5), "in a moment"),
    ],
)
def test_times_are_told_as_people_tell_them(before: timedelta, told: str) -> None:
    """How long ago something was, or how long it will take."""
    assert ago(NOW - before, NOW) == told


def test_times_are_told_exactly_too() -> None:
    """With the instant in UTC, whatever zone it came in."""
    assert both(datetime.fromisoformat("2026-03-01T11:00:00+02:00"), NOW) == "3 hours ago (2026-03-01 09:00:00 UTC)"
    assert ago(None, NOW) == exact(None) == both(None, NOW) == "never"


def test_log_lines_are_harmless() -> None:
    """An address or a title in a log line cannot make a terminal obey."""
    record = logging.LogRecord("tosmon", logging.INFO, "", 0, "%s", ("a\x1b[31m\u202eb",), None)

    assert _Harmless("%(message)s").format(record) == "a[31mb"
