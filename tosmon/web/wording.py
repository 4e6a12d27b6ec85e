"""Captured Markdown as something to read: marks gone, emphasis and links kept, every piece known by its place.

Comparing wants plain words, flags point at places in the stored Markdown, and readers want bold terms and links. So a
clause is read once into plain words plus the stretches that carry a style, with a way from stored places to plain
ones. Tags come from here alone: strangers' text is only ever escaped, and only http and https are linked.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape

from tosmon.model import ClauseKind, Edit, EditKind
from tosmon.publish.text import visible, web_address

# As `clauses.plain` sees it.
_INLINE = re.compile(
    r"(?P<link>!?\[(?P<label>(?:[^\[\]\\]|\\.)*)\]\((?P<target>[^()\s]*(?:\([^()\s]*\)[^()\s]*)*)(?:\s+\"[^\"]*\")?\))"
    r"|\\(?P<escaped>[\\`*_{}\[\]()#+\-.!|>~&<\"])"
    r"|(?P<strong>\*\*|__)"
    r"|(?P<em>(?<![\w*])\*(?=\S)|(?<=\S)\*(?![\w*])|(?<!\w)_(?=\S)|(?<=\S)_(?!\w))"
    r"|(?P<code>`)"
    r"|(?P<break>[ \t]{2,}\n|\\\n)"
    r"|(?P<edge>\|)"
)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of the plain words with one style: any of "strong", "em", "code", "edge", and where it links to."""

    start: int
    end: int
    styles: frozenset[str] = frozenset()
    href: str | None = None


@dataclass(frozen=True, slots=True)
class Wording:
    """A clause's words without Markdown's marks. `stretches` cover `text` from end to end."""

    text: str
    stretches: tuple[Stretch, ...]
    _stored: tuple[int, ...]
    _plain: tuple[int, ...]

    def place(self, stored: int) -> int:
        """Where a place of the stored Markdown is in the plain words."""
        at = bisect_right(self._stored, stored) - 1
        if at < 0:
            return 0
        limit = self._plain[at + 1] if at + 1 < len(self._plain) else len(self.text)
        return min(self._plain[at] + stored - self._stored[at], limit)


class _Reader:
    __slots__ = ("length", "parts", "plain", "stored", "stretches", "styles")

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.length = 0
        self.stretches: list[Stretch] = []
        self.stored: list[int] = []
        self.plain: list[int] = []
        self.styles: set[str] = set()

    def say(self, words: str, stored: int, href: str | None, *extra: str) -> None:
        if not words:
            return
        self.stored.append(stored)
        self.plain.append(self.length)
        styles = frozenset((*self.styles, *extra))
        end = self.length + len(words)
        last = self.stretches[-1] if self.stretches else None
        if last is not None and last.styles == styles and last.href == href:
            self.stretches[-1] = Stretch(last.start, end, styles, href)
        else:
            self.stretches.append(Stretch(self.length, end, styles, href))
        self.parts.append(words)
        self.length = end

    def read(self, markdown: str, offset: int, href: str | None, row: bool) -> None:
        done = 0
        for found in _INLINE.finditer(markdown):
            if found["edge"] and not row:
                continue
            self.say(_unwrapped(markdown[done : found.start()]), offset + done, href)
            done = found.end()
            if found["link"] is not None:
                image = found[0].startswith("!")
                target = None if image else web_address(found["target"])
                self.read(found["label"], offset + found.start("label"), target or href, row)
            elif found["escaped"]:
                self.say(found["escaped"], offset + found.start("escaped"), href)
            elif found["strong"] or found["em"] or found["code"]:
                self.styles ^= {"strong" if found["strong"] else "em" if found["em"] else "code"}
            elif found["break"]:
                self.say("\n", offset + found.start(), href)
            else:
                self._edge(markdown, found, offset)
        self.say(_unwrapped(markdown[done:]), offset + done, href)

    def _edge(self, markdown: str, found: re.Match[str], offset: int) -> None:
        """The border of a table's cell; the outermost ones are not shown."""
        if markdown[: found.start()].strip() and markdown[found.end() :].strip():
            self.say("|", offset + found.start(), None, "edge")


def _unwrapped(markdown: str) -> str:
    """A line that was only wrapped goes on; what is left as a line break is meant as one."""
    return markdown.replace("\n", " ")


# Most clauses hold nothing to be read, and the walk over every sign is what a page of 20,000 words would wait for.
_SIGNS = re.compile(r"[\[\\*_`|\n]")


def wording(markdown: str, kind: ClauseKind = ClauseKind.PARAGRAPH) -> Wording:
    """The words of a clause's text; a table row keeps the borders between its cells as stretches of style "edge"."""
    if markdown and _SIGNS.search(markdown) is None:
        return Wording(markdown, (Stretch(0, len(markdown)),), (0,), (0,))
    reader = _Reader()
    reader.read(markdown, 0, None, kind is ClauseKind.ROW)
    return Wording("".join(reader.parts), tuple(reader.stretches), tuple(reader.stored), tuple(reader.plain))


# --- as HTML ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mark:
    """Plain words from `start` to `end` that a flag rests on. `anchor` is the id they are found by, if it is theirs."""

    start: int
    end: int
    flag: int
    direction: str
    anchor: str | None


_WRAPPERS = (("em", "em"), ("strong", "strong"), ("code", "code"))
_BREAK = re.compile("\n")


def html(words: Wording, marks: Sequence[Mark] = ()) -> Markup:
    """The words of one version, with links, emphasis and the quotes of flags."""
    return _joined(_pieces(words, 0, len(words.text), marks), set())


def edited_html(
    before: Wording,
    after: Wording,
    edits: Iterable[Edit],
    marks_before: Sequence[Mark] = (),
    marks_after: Sequence[Mark] = (),
    side: EditKind | None = None,
) -> Markup:
    """Both versions of a clause in one, or (`side`: REMOVED for before, ADDED for after) one of them with its marks.

    `edits` are those of the two plain texts. Words that stayed are shown as the new version sets them.
    """
    written: set[str] = set()  # an id may stand in the HTML once
    out: list[Markup] = []
    i = j = 0
    for edit in edits:
        length = len(edit.text)
        if edit.kind is EditKind.REMOVED:
            if side is not EditKind.ADDED:
                out.append(_tagged("del", _joined(_pieces(before, i, i + length, marks_before), written), edit.text))
            i += length
        elif edit.kind is EditKind.ADDED:
            if side is not EditKind.REMOVED:
                out.append(_tagged("ins", _joined(_pieces(after, j, j + length, marks_after), written), edit.text))
            j += length
        else:
            if side is EditKind.REMOVED:
                out.append(_joined(_pieces(before, i, i + length, marks_before), written))
            else:
                old = _shifted(marks_before, i, i + length, j - i) if side is None else []
                out.append(_joined(_pieces(after, j, j + length, [*marks_after, *old]), written))
            i, j = i + length, j + length
    return Markup("").join(out)


def _shifted(marks: Sequence[Mark], start: int, end: int, by: int) -> list[Mark]:
    """What of the marks lies between two places, moved to where those words stand in the other version."""
    return [
        Mark(max(mark.start, start) + by, min(mark.end, end) + by, mark.flag, mark.direction, mark.anchor)
        for mark in marks
        if mark.start < end and start < mark.end
    ]


def _tagged(tag: str, inner: Markup, text: str) -> Markup:
    """Words that came or went. The style sheet says so to screen readers, so that no cue is ever copied or searched."""
    if not text.strip():
        return inner if tag == "ins" else Markup("")
    return Markup("<{0}>{1}</{0}>").format(Markup(tag), inner)


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    stretch: Stretch
    marks: tuple[Mark, ...]


def _pieces(words: Wording, start: int, end: int, marks: Sequence[Mark]) -> Iterator[_Piece]:
    """The words from `start` to `end`, cut wherever a style or a quote begins or ends."""
    first = bisect_right([stretch.start for stretch in words.stretches], start) - 1
    for stretch in words.stretches[max(first, 0) :]:
        if stretch.start >= end:
            break
        low, high = max(start, stretch.start), min(end, stretch.end)
        cuts = sorted({low, high, *(place for mark in marks for place in (mark.start, mark.end) if low < place < high)})
        for left, right in pairwise(cuts):
            around = tuple(mark for mark in marks if mark.start <= left and right <= mark.end)
            yield _Piece(words.text[left:right], stretch, around)


def _joined(pieces: Iterable[_Piece], written: set[str]) -> Markup:
    return Markup("").join(_piece_html(piece, written) for piece in pieces)


def _piece_html(piece: _Piece, written: set[str]) -> Markup:
    out = Markup("<br>").join(escape(visible(part)) for part in _BREAK.split(piece.text))
    if "edge" in piece.stretch.styles:
        out = Markup('<span class="edge">{}</span>').format(out)
    for style, tag in _WRAPPERS:
        if style in piece.stretch.styles:
            out = Markup("<{0}>{1}</{0}>").format(Markup(tag), out)
    if piece.stretch.href:
        out = Markup('<a href="{}" rel="nofollow noopener">{}</a>').format(piece.stretch.href, out)
    if piece.marks:
        out = Markup('<mark class="quote {}">{}</mark>').format(piece.marks[0].direction, out)
    for mark in piece.marks:
        if mark.anchor is not None and mark.anchor not in written:
            written.add(mark.anchor)
            out = Markup('<span class="anchor" id="{}"></span>{}').format(mark.anchor, out)
    return out
