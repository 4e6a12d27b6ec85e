"""Show which words went and which came, in text and in HTML, for feeds, mail and web alike.

Takes edits of plain words (an alert's passages hold no Markdown any more). A clause of a thousand words with three new
ones is cut to what stands around them, and the words that a flag points at stay recognisable as such.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from markupsafe import Markup, escape

from tosmon.model import Edit, EditKind
from tosmon.publish.text import ELLIPSIS, head, tail, visible


@dataclass(frozen=True, slots=True)
class Run:
    """Words in a row that stayed, went or came; `quoted` when a flag points at them."""

    text: str
    kind: EditKind = EditKind.SAME
    quoted: bool = False


def side_text(edits: Sequence[Edit], side: EditKind) -> str:
    """One side alone: the text before, with what went (`REMOVED`), or after, with what came (`ADDED`)."""
    return "".join(edit.text for edit in edits if edit.kind in (EditKind.SAME, side))


def side_runs(edits: Sequence[Edit], side: EditKind, quotes: Iterable[str] = ()) -> tuple[Run, ...]:
    """The runs of one side; words that are in one of the quotes (exact parts of that side's text) are `quoted`."""
    shown = [edit for edit in edits if edit.kind in (EditKind.SAME, side)]
    text = "".join(edit.text for edit in shown)
    spans = [(start, start + len(quote)) for quote in quotes if quote and (start := text.find(quote)) >= 0]
    cuts = sorted({place for span in spans for place in span})
    return tuple(
        Run(visible(text[start:end]), edit.kind, any(first <= start and end <= last for first, last in spans))
        for edit, start, end in _pieces(shown, cuts)
    )


def _pieces(edits: Iterable[Edit], cuts: Sequence[int]) -> Iterator[tuple[Edit, int, int]]:
    """Each edit with where it starts and ends in the text they make, cut in pieces at these places."""
    position = 0
    for edit in edits:
        end = position + len(edit.text)
        places = [position, *(cut for cut in cuts if position < cut < end), end]
        yield from ((edit, first, last) for first, last in pairwise(places) if first < last)
        position = end


# --- what stands around the marks ---------------------------------------------------------------------------------


def quoted_only(runs: Sequence[Run]) -> tuple[Run, ...]:
    """From the first quoted run to the last, what stands between included."""
    places = [number for number, run in enumerate(runs) if run.quoted]
    return tuple(runs[places[0] : places[-1] + 1]) if places else ()


def shortened(runs: Sequence[Run], around: int = 160, longest: int = 1200) -> tuple[Run, ...]:
    """The runs that matter with up to `around` characters on each side; no run longer than `longest`.

    What matters are marked words; in a clause that is marked from end to end, the quoted ones if there are any.
    """
    marked = [run.kind is not EditKind.SAME for run in runs]
    if all(marked) or not any(marked):
        matters = [run.quoted for run in runs]
        if not any(matters):
            matters = [True] * len(runs)
        around *= 2
    else:
        matters = [run.quoted or mark for run, mark in zip(runs, marked, strict=True)]
    short: list[Run] = []
    for number, run in enumerate(runs):
        if matters[number]:
            short.append(replace(run, text=_middle_out(run.text, longest, first=True, last=False)))
        else:
            first, last = number > 0, number < len(runs) - 1
            short.append(replace(run, text=_middle_out(run.text, around * (first + last), first=first, last=last)))
    return _first(short, 2 * longest)


_MOST_RUNS = 120


def _first(runs: Sequence[Run], room: int) -> tuple[Run, ...]:
    """As many runs as fit: a clause with a thousand marks is read on its own page."""
    kept: list[Run] = []
    for run in runs:
        if room <= 0 or len(kept) == _MOST_RUNS:
            return (*kept, Run(f" {ELLIPSIS}"))
        kept.append(run)
        room -= len(run.text)
    return tuple(kept)


def _middle_out(text: str, room: int, *, first: bool, last: bool) -> str:
    """The start (if `first`) and the end (if `last`) of a text that is longer than the room."""
    if len(text) <= room + 20:
        return text
    if first and last:
        return f"{head(text, room // 2)} {ELLIPSIS} {tail(text, room // 2)}"
    return f"{head(text, room)} {ELLIPSIS}" if first else f"{ELLIPSIS} {tail(text, room)}"


# --- writing them -------------------------------------------------------------------------------------------------

# Half transparent, so that they are legible on whatever ground a feed reader has; underline and strike are the tags' own.
INLINE_STYLE = {
    EditKind.ADDED: "background:rgba(64,132,230,.22)",
    EditKind.REMOVED: "background:rgba(128,128,128,.2)",
}


def marked_text(edits: Sequence[Edit]) -> str:
    """An edited clause as plain text: `We may [-not-] {+now+} use it.`"""
    return runs_text([Run(visible(edit.text), edit.kind) for edit in edits])


def marked_html(edits: Sequence[Edit], *, inline_style: bool = False) -> Markup:
    """An edited clause as HTML with `<ins>` and `<del>`; inline style for where there is no style sheet of ours."""
    return runs_html([Run(visible(edit.text), edit.kind) for edit in edits], inline_style=inline_style)


def runs_text(runs: Sequence[Run], *, marks: bool = True) -> str:
    parts = [_wrapped(run) if marks and run.kind is not EditKind.SAME else (run.kind, run.text) for run in runs]
    text = ""
    before = EditKind.SAME
    for kind, part in parts:
        apart = EditKind.SAME not in (before, kind) and not text.endswith(" ") and not part.startswith(" ")
        text += f" {part}" if apart and marks else part
        before = kind
    return re.sub(r"\s+", " ", text).strip()


def _wrapped(run: Run) -> tuple[EditKind, str]:
    """The run in its brackets, white space left outside: `[-old-] {+new+} `."""
    words = run.text.strip()
    if not words:
        return EditKind.SAME, " "
    left, right = ("[-", "-]") if run.kind is EditKind.REMOVED else ("{+", "+}")
    before, after = (" " if run.text[0].isspace() else ""), (" " if run.text[-1].isspace() else "")
    return run.kind, f"{before}{left}{words}{right}{after}"


_TAGS = {EditKind.ADDED: "ins", EditKind.REMOVED: "del"}


def runs_html(runs: Sequence[Run], *, inline_style: bool = False, whole: bool = False) -> Markup:
    """The runs, escaped, in `<ins>` and `<del>`; quoted words in `<b>`.

    `whole`: the clause came or went from end to end, so the marks have no underline or strike that makes it hard to
    read. A reader that knows no style still shows the tags' own.
    """
    html = Markup("")
    for run in runs:
        words = Markup("<b>{}</b>").format(run.text) if run.quoted else escape(run.text)
        tag = _TAGS.get(run.kind)
        if tag is None:
            html += words
        elif not inline_style:
            html += Markup('<{0} class="whole">{1}</{0}>' if whole else "<{0}>{1}</{0}>").format(Markup(tag), words)
        else:
            style = "text-decoration:none" if whole else INLINE_STYLE[run.kind]
            html += Markup('<{0} style="{2}">{1}</{0}>').format(Markup(tag), words, style)
    return html
