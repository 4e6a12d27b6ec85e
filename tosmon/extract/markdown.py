"""HTML to Markdown for people who quote it: every word, in order, with the numbering the page shows.

One clause stands in one block, blocks are parted by blank lines, list items and table rows stand on lines of their own.
The same page always gives the same bytes, and an edit inside one paragraph changes no other line. Typography is the
page's own; white space, empty elements and marks of emphasis inside a word are not kept, since they come and go.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple
from urllib.parse import quote

from bs4 import BeautifulSoup
from bs4.element import NavigableString, Tag

from tosmon.extract.focus import resolve
from tosmon.extract.numbering import Numbering

# Deeper than any real page; an element below it is read as if its parents were not there. Keeps recursion bounded.
_DEEPEST = 100
_LONGEST_HEADING = 60  # words; whole clauses are wrapped in heading tags for their looks

_SPACE = re.compile(r"[\s\u00a0]+")
# Characters nobody sees: controls, soft hyphens, zero-width spaces, byte order marks, overrides of writing direction.
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\u2060\ufeff\u202a-\u202e\u2066-\u2069\ufff9-\ufffb\ud800-\udfff]"
)
_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_SUBSCRIPT = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_FOLLOWED = re.compile(r"(?:https?://|mailto:|tel:|ftp://|#)", re.IGNORECASE)
# What would end a link, or start another thing, inside Markdown's round brackets.
_IN_LINKS = {ord(each): quote(each) for each in ' ()<>\\"\u00a0\u2028\u2029\u3000'}
_WORD = re.compile(r"\w")
_LINE_OPENER = re.compile(r"(?=#{1,6}(?:\s|$)|>|\||(?:-\s*){3,}$|(?:_\s*){3,}$|=+$|-{2,}$)")
_EMPHASISED = re.compile(r"[*`]")


class Style(NamedTuple):
    """How a run of text is written; the empty one is plain."""

    href: str = ""
    bold: bool = False
    italic: bool = False
    struck: bool = False


_PLAIN = Style()
_LINE_BREAK = "\n"
Run = list[tuple[str, Style]]


@dataclass(frozen=True, slots=True)
class Block:
    kind: str  # "paragraph", "heading", "list", "table", "quote"
    text: str


def to_markdown(html: str, base: str) -> str:
    """The Markdown of a slim string of HTML (`slim.slim`); relative links are resolved under `base`."""
    soup = BeautifulSoup(_shallow(html), "lxml")
    return tree_to_markdown(soup, base)


def tree_to_markdown(element: Tag, base: str) -> str:
    """The Markdown of an element of a tree made from slim HTML."""
    writer = _Writer(_Links(base))
    writer.read(element, _PLAIN)
    writer.flush()
    return join(writer.blocks)


def join(blocks: Iterable[Block]) -> str:
    return "\n\n".join(block.text for block in blocks)


_TAG = re.compile(r"<(/?)([a-z][a-z0-9]*)[^>\"]*(?:\"[^\"]*\"[^>\"]*)*>")
_VOID = frozenset(("br", "img", "wbr", "hr", "input"))


def _shallow(html: str) -> str:
    """`html` without the tags that stand deeper than `_DEEPEST`; their text stays."""
    depth = deepest = 0
    for match in _TAG.finditer(html):
        if match[2] not in _VOID:
            depth += -1 if match[1] else 1
            deepest = max(deepest, depth)
    if deepest <= _DEEPEST:
        return html
    depth = 0

    def kept(match: re.Match[str]) -> str:
        nonlocal depth
        if match[2] in _VOID:
            return match[0]
        depth += 0 if match[1] else 1
        tag = match[0] if depth <= _DEEPEST else " "
        depth -= 1 if match[1] else 0
        return tag

    return _TAG.sub(kept, html)


class _Links:
    """Addresses made absolute, each worked out once."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._known: dict[str, str] = {}

    def __call__(self, href: str) -> str:
        if href not in self._known:
            self._known[href] = self._absolute(href)
        return self._known[href]

    def _absolute(self, href: str) -> str:
        href = re.sub(r"[\t\n\r\f\x00]", "", href).strip()
        # A link within the document stays one: under an address with a session in it, it would change at each look.
        found = href if href.startswith("#") else resolve(self._base, href)
        if len(found) > 2000 or found == "#" or not _FOLLOWED.match(found):
            return ""
        return _UNSEEN.sub("", found).translate(_IN_LINKS)


class _Writer:
    """Gathers runs of text into blocks while walking a tree."""

    def __init__(self, links: _Links) -> None:
        self.links = links
        self.blocks: list[Block] = []
        self._run: Run = []

    def flush(self) -> None:
        """Close the paragraph that is being gathered."""
        if self._run:
            self.blocks.extend(Block("paragraph", text) for text in _paragraphs(self._run))
            self._run = []

    def read(self, element: Tag, style: Style, preformatted: bool = False) -> None:
        for child in element.contents:
            if not isinstance(child, Tag):
                if type(child) is NavigableString:
                    if preformatted:
                        self._preformatted(child, style)
                    else:
                        self._run.append((child, style))
                continue
            name = child.name
            if name == "br":
                self._run.append((_LINE_BREAK, style))
            elif name in _INLINE:
                self._inline(child, name, style, preformatted)
            else:
                self.flush()
                self._block(child, name, style, preformatted)
                self.flush()

    def _preformatted(self, text: str, style: Style) -> None:
        for number, line in enumerate(text.split("\n")):
            if number:
                self._run.append((_LINE_BREAK, style))
            self._run.append((line, style))

    def _inline(self, element: Tag, name: str, style: Style, preformatted: bool) -> None:
        if name == "a":
            href = self.links(str(element.get("href") or ""))
            self.read(element, style._replace(href=href or style.href), preformatted)
        elif name in ("b", "strong"):
            self.read(element, style._replace(bold=True), preformatted)
        elif name in ("i", "em"):
            self.read(element, style._replace(italic=True), preformatted)
        elif name in ("del", "s", "strike"):
            self.read(element, style._replace(struck=True), preformatted)
        elif name in ("sup", "sub"):
            self._raised(element, name, style, preformatted)
        elif name == "q":
            self._run.append(("“", style))
            self.read(element, style, preformatted)
            self._run.append(("”", style))
        elif name == "img":
            self._image(element)

    def _raised(self, element: Tag, name: str, style: Style, preformatted: bool) -> None:
        # "word1" is no word: the number of a footnote that is no link becomes a raised digit.
        only = element.contents[0] if len(element.contents) == 1 else None
        if isinstance(only, NavigableString) and re.fullmatch(r"\s*\d{1,3}\s*", only):
            digits = only.strip().translate(_SUPERSCRIPT if name == "sup" else _SUBSCRIPT)
            self._run.append((digits, style))
        else:
            self.read(element, style, preformatted)

    def _image(self, element: Tag) -> None:
        alt = _SPACE.sub(" ", _UNSEEN.sub("", str(element.get("alt") or ""))).strip()
        source = self.links(str(element.get("src") or ""))
        if alt and source and not source.startswith("#"):
            label = re.sub(r"[\[\]*`\\]", " ", alt)
            self._run.append((f"![{_SPACE.sub(' ', label).strip()}]({source})", _IMAGE))

    def _block(self, element: Tag, name: str, style: Style, preformatted: bool) -> None:
        if name in _HEADINGS:
            self._heading(element, _HEADINGS[name], style)
        elif name in ("ul", "ol", "menu", "dir"):
            self._list(element, style)
        elif name == "li":
            self._items([element], Numbering.bullets(), style)
        elif name == "table":
            self._table(element, style)
        elif name == "dt":
            self.read(element, style._replace(bold=True))
        elif name == "blockquote":
            self._quote(element, style)
        elif name == "pre":
            self.read(element, style, True)
        elif element.get("role") == "heading":
            self._heading(element, int(str(element.get("aria-level") or "2")), style)
        else:
            self.read(element, style, preformatted)

    def _inner(self, element: Tag, style: Style) -> list[Block]:
        writer = _Writer(self.links)
        writer.read(element, style)
        writer.flush()
        return writer.blocks

    def _heading(self, element: Tag, level: int, style: Style) -> None:
        blocks = self._inner(element, style._replace(bold=False))
        if any(block.kind != "paragraph" for block in blocks):
            self.blocks.extend(self._inner(element, style))
            return
        text = " ".join(block.text for block in blocks).replace("\n", " ")
        text = re.sub(r"\s*\[[^\w\[\]]*\]\([^()]*\)\s*$", "", text)
        if not _WORD.search(text):
            return
        if len(text.split()) > _LONGEST_HEADING:
            self.blocks.extend(blocks)
        else:
            self.blocks.append(Block("heading", f"{'#' * level} {text.removeprefix(chr(92))}"))

    def _quote(self, element: Tag, style: Style) -> None:
        text = join(self._inner(element, style))
        if text:
            self.blocks.append(Block("quote", "\n".join(f"> {line}".rstrip() for line in text.split("\n"))))

    # --- lists -----------------------------------------------------------------------------------------------

    def _list(self, element: Tag, style: Style) -> None:
        children = [child for child in element.contents if isinstance(child, Tag)]
        loose = [child for child in element.contents if type(child) is NavigableString and child.strip()]
        if loose or not children:
            # Text that stands in a list but in no item of it.
            self.read(element, style)
            return
        self._items(children, Numbering.of(element, sum(child.name == "li" for child in children)), style)

    def _items(self, children: Iterable[Tag], numbering: Numbering, style: Style) -> None:
        lines: list[str] = []
        for child in children:
            blocks = self._inner(child, style) if child.name == "li" else self._alone(child, style)
            marker = numbering.marker(child) if child.name == "li" else ""
            if not blocks:
                continue
            if marker and blocks[0].kind == "heading":
                self._close_list(lines)
                self._section(blocks, "" if numbering.bulleted else marker)
            elif not marker:
                lines.extend(_indented(block.text) for block in blocks)
            else:
                lines.append(_item(blocks, marker, numbering.bulleted))
        self._close_list(lines)

    def _alone(self, element: Tag, style: Style) -> list[Block]:
        writer = _Writer(self.links)
        if element.name in _INLINE or element.name == "br":
            writer._inline(element, element.name, style, False)
        else:
            writer._block(element, element.name, style, False)
        writer.flush()
        return writer.blocks

    def _close_list(self, lines: list[str]) -> None:
        if lines:
            self.blocks.append(Block("list", "\n".join(lines)))
            lines.clear()

    def _section(self, blocks: list[Block], marker: str) -> None:
        """An item that opens with a heading is a section: its number belongs to the heading, its text to no list."""
        hashes, _, title = blocks[0].text.partition(" ")
        numbered = bool(marker) and not title.startswith(marker)
        self.blocks.append(Block("heading", f"{hashes} {marker} {title}" if numbered else blocks[0].text))
        self.blocks.extend(blocks[1:])

    # --- tables ----------------------------------------------------------------------------------------------

    def _table(self, element: Tag, style: Style) -> None:
        if _has_stray_text(element):
            self.read(element, style)
            return
        for caption in element.find_all("caption", recursive=False):
            self.blocks.extend(self._inner(caption, style))
        rows = list(_rows(element))
        cells = [[self._inner(cell, style) for cell in row] for row in rows]
        if _is_layout(cells):
            for row in cells:
                for blocks in row:
                    self.blocks.extend(blocks)
            return
        lines = [
            "| " + " | ".join(_cell_text(blocks) for blocks in _spread(row, texts)) + " |"
            for row, texts in zip(rows, cells, strict=True)
            if any(texts)
        ]
        if lines:
            columns = max(line.count(" | ") + 1 for line in lines[:1])
            lines.insert(1, "| " + " | ".join(["---"] * columns) + " |")
            self.blocks.append(Block("table", "\n".join(lines)))


_INLINE = frozenset(("a", "b", "strong", "i", "em", "del", "s", "strike", "sup", "sub", "q", "img", "wbr"))
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_IMAGE = Style(href="image:")


def _rows(table: Tag) -> Iterator[list[Tag]]:
    """The rows of a table, not of tables inside it."""
    for child in table.contents:
        if not isinstance(child, Tag):
            continue
        if child.name == "tr":
            yield [cell for cell in child.contents if isinstance(cell, Tag)]
        elif child.name != "caption":
            yield from _rows(child)


def _has_stray_text(table: Tag) -> bool:
    """Whether words stand in a table but in none of its cells."""
    for child in table.contents:
        if isinstance(child, Tag):
            if child.name in ("tr", "tbody", "thead", "tfoot") and _has_stray_text(child):
                return True
            if child.name not in ("tr", "tbody", "thead", "tfoot", "td", "th", "caption"):
                return True
        elif str(child).strip():
            return True
    return False


def _is_layout(cells: list[list[list[Block]]]) -> bool:
    """Whether a table only arranges text: one column, or cells that hold whole sections or tables."""
    if all(sum(bool(blocks) for blocks in row) <= 1 for row in cells):
        return True
    return any(
        any(block.kind == "table" for block in blocks)
        or (
            len(blocks) > 1
            and any(block.kind == "heading" and block.text.startswith(("# ", "## ")) for block in blocks)
        )
        for row in cells
        for blocks in row
    )


def _spread(row: list[Tag], texts: list[list[Block]]) -> Iterator[list[Block]]:
    for cell, blocks in zip(row, texts, strict=True):
        yield blocks
        span = str(cell.get("colspan") or "1")
        for _ in range(min(int(span), 30) - 1 if span.isdigit() else 0):
            yield []


def _cell_text(blocks: list[Block]) -> str:
    text = "<br><br>".join("<br>".join(line.strip() for line in block.text.split("\n")) for block in blocks)
    return text.replace("\\|", "|").replace("|", "\\|").strip()


def _indented(text: str) -> str:
    return "\n".join("    " + line if line else "" for line in text.split("\n"))


def _item(blocks: list[Block], marker: str, bulleted: bool) -> str:
    first, rest = blocks[0], blocks[1:]
    if first.kind == "list" and bulleted:
        # An item that only wraps another list has no text to mark.
        return "\n".join(block.text for block in blocks)
    head = f"{marker} {first.text}" if first.kind == "list" else f"{marker} {_indented(first.text).strip()}"
    if first.kind == "list":
        opening, _, others = first.text.partition("\n")
        head = f"{marker} {opening}" + ("\n" + _indented(others) if others else "")
    parts = [head]
    for block in rest:
        parts.append(("\n" if block.kind == "list" else "\n\n") + _indented(block.text))
    return "".join(parts)


# --- runs of text ------------------------------------------------------------------------------------------------


def _paragraphs(run: Run) -> Iterator[str]:
    """The paragraphs of a run: two line breaks part them, one stays inside."""
    lines: list[str] = []
    for line in _lines(run):
        text = _write(line)
        if text:
            lines.append(_LINE_OPENER.sub(r"\\", text, count=1) if _LINE_OPENER.match(text) else text)
        elif lines:
            yield "\n".join(lines)
            lines = []
    if lines:
        yield "\n".join(lines)


def _lines(run: Run) -> Iterator[Run]:
    """The run cut at line breaks, white space collapsed across elements, neighbours of one style joined."""
    line: Run = []
    spaced = True  # at the start of a line, and after a space, further spaces are dropped
    for text, style in run:
        if text is _LINE_BREAK:
            yield line
            line, spaced = [], True
            continue
        text = _SPACE.sub(" ", _UNSEEN.sub("", text))
        if spaced and text.startswith(" "):
            text = text[1:]
        if not text:
            continue
        spaced = text.endswith(" ")
        if line and line[-1][1] == style:
            line[-1] = (line[-1][0] + text, style)
        else:
            line.append((text, style))
    yield line


def _write(line: Run) -> str:
    if not line:
        return ""
    if len(line) == 1 and line[0][1] == _PLAIN:
        return _escaped(line[0][0]).strip()
    return _emphasised(_settled(line), 0).strip()


def _settled(line: Run) -> Run:
    """The line with styles that can be written: a link has one style, and a mark never stands inside a word."""
    found: Run = []
    for href, group in groupby(line, key=lambda part: part[1].href):
        parts = list(group)
        if href and href != _IMAGE.href and len({style for _, style in parts}) > 1:
            style = Style(
                href, *(all(getattr(s, name) for t, s in parts if t.strip()) for name in ("bold", "italic", "struck"))
            )
            parts = [("".join(text for text, _ in parts), style)]
        found.extend(parts)
    for name in ("bold", "italic", "struck"):
        found = _whole_words(found, name)
    return found


def _whole_words(line: Run, name: str) -> Run:
    """The line without a style whose edge falls inside a word, where marks would cut the word in two."""
    found: Run = []
    groups = [(marked, list(group)) for marked, group in groupby(line, key=lambda part: getattr(part[1], name))]
    for number, (marked, parts) in enumerate(groups):
        if marked:
            before = groups[number - 1][1][-1][0][-1:] if number else ""
            after = groups[number + 1][1][0][0][:1] if number + 1 < len(groups) else ""
            if (before.isalnum() and parts[0][0][:1].isalnum()) or (after.isalnum() and parts[-1][0][-1:].isalnum()):
                parts = [(text, _plainer(style, name)) for text, style in parts]
        found.extend(parts)
    return found


def _plainer(style: Style, name: str) -> Style:
    if name == "bold":
        return style._replace(bold=False)
    return style._replace(italic=False) if name == "italic" else style._replace(struck=False)


_MARKS = (("bold", "**"), ("italic", "*"), ("struck", "~~"))


def _emphasised(line: Run, level: int) -> str:
    if level == len(_MARKS):
        return _linked(line)
    name, mark = _MARKS[level]
    written = []
    for marked, group in groupby(line, key=lambda part: getattr(part[1], name)):
        text = _emphasised(list(group), level + 1)
        written.append(_wrapped(text, mark, mark) if marked and _WORD.search(text) else text)
    return "".join(written)


def _linked(line: Run) -> str:
    written = []
    for href, group in groupby(line, key=lambda part: part[1].href):
        raw = "".join(text for text, _ in group)
        if href == _IMAGE.href:
            written.append(raw)
        elif href and _WORD.search(raw):
            written.append(_wrapped(_escaped(raw).replace("[", "\\[").replace("]", "\\]"), "[", f"]({href})"))
        else:
            written.append(_escaped(raw))
    return "".join(written)


def _wrapped(text: str, opening: str, closing: str) -> str:
    """Marks around the words, white space outside them."""
    core = text.strip()
    start = text.index(core)
    return f"{text[:start]}{opening}{core}{closing}{text[start + len(core) :]}"


def _escaped(text: str) -> str:
    return _EMPHASISED.sub(r"\\\g<0>", text).replace("](", "]\\(") if _EMPHASISED.search(text) or "](" in text else text
