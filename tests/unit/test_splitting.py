"""Splitting one text after another of a document."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tosmon.clauses import split
from tosmon.interop.splitting import Splitter

lines = st.sampled_from(
    ["", "", "", " ", "Terms", "=====", "---", "* * *", "1. You may", "2. We may", "- one", "  - two", "| a | b |",
     "|---|---|", "You keep your rights.", "goes on", "## Fees", "> quoted", "***"]
)  # fmt: skip
texts = st.lists(lines, max_size=24).map("\n".join)


@given(st.lists(texts, min_size=2, max_size=4))
def test_splitting_by_differences_gives_the_same_clauses(history: list[str]) -> None:
    """Whatever the text before was, the clauses are those of the whole text, and so is the count of words."""
    splitter = Splitter()
    for text in history:
        assert splitter.split(text) == split(text)
        assert splitter.words == len(text.split())


@given(st.lists(lines, min_size=8, max_size=60), st.data())
def test_one_edited_line_in_a_long_text(text: list[str], data: st.DataObject) -> None:
    """A line that is added, taken or replaced changes what it must, and nothing else."""
    splitter = Splitter()
    splitter.split("\n".join(text))
    for _ in range(3):
        at = data.draw(st.integers(0, max(0, len(text) - 1)))
        text = text[:at] + data.draw(st.lists(lines, max_size=2)) + text[at + data.draw(st.integers(0, 2)) :]
        assert splitter.split("\n".join(text)) == split("\n".join(text))


def test_what_did_not_change_is_not_read_again() -> None:
    """The clauses around an edit are the same objects as before."""
    text = [f"Clause number {number} of these terms." for number in range(40)]
    splitter = Splitter()
    before = splitter.split("\n\n".join(text))
    text[20] = "Another one."

    after = splitter.split("\n\n".join(text))

    assert sum(old is new for old, new in zip(before, after, strict=True)) >= 35
    assert splitter.bases["Another one."] == "Clause number 20 of these terms."
