"""PDF terms to Markdown: words in reading order, paragraphs whole, and what the printer added left out.

A PDF knows where letters stand, not what they mean. Lines are put together from letters, columns found by the gutter
between them, paragraphs by their leading, indents and short last lines, headings by size and weight. Running headers,
footers and page numbers go, since they would cut clauses in two. A file without letters (a scan) is an error, not an
empty version.
"""

from __future__ import annotations

import ctypes
import re
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from tosmon.errors import ExtractionError

# The longest terms known have some 150 pages; a file far above that is no terms, or was made to hurt.
MOST_PAGES = 600
MOST_CHARACTERS = 4_000_000
MOST_CHARACTERS_OF_A_PAGE = 200_000
_SCAN = 15  # letters a page; below it, what there is are stamps and page numbers

_lock = threading.Lock()  # pdfium must not be entered by two threads


@dataclass(slots=True)
class Line:
    """Letters on one baseline without a wide gap; coordinates in points from the lower left corner."""

    text: str
    left: float
    right: float
    bottom: float
    top: float
    size: float
    bold: bool
    page: int

    @property
    def height(self) -> float:
        return self.top - self.bottom


def pdf_to_markdown(body: bytes, url: str) -> str:
    """The Markdown of a PDF. Raises `ExtractionError` for one that is broken, locked, too large, or has no text."""
    with _lock:
        pages = _pages(body, url)
    letters = sum(character.isalnum() for lines, _ in pages for line in lines for character in line.text)
    if letters < _SCAN * len(pages):
        raise ExtractionError(f"{url}: this PDF holds pictures of text (a scan), no text; find another source for it")
    sizes = Counter[float]()
    for lines, _ in pages:
        for line in lines:
            sizes[round(line.size * 2) / 2] += len(line.text)
    running = _running(pages)
    ordered: list[Line] = []
    for lines, _ in pages:
        ordered.extend(_in_reading_order([line for line in lines if id(line) not in running]))
    return _to_markdown(ordered, sizes.most_common(1)[0][0])


# --- letters to lines --------------------------------------------------------------------------------------------


def _pages(body: bytes, url: str) -> list[tuple[list[Line], float]]:
    """The lines of each page, with its height."""
    try:
        document = pdfium.PdfDocument(body)
    except pdfium.PdfiumError as error:
        locked = "assword" in str(error)
        reason = "is locked with a password" if locked else "is broken"
        raise ExtractionError(f"{url}: this PDF {reason} and cannot be read ({error})") from error
    try:
        if len(document) > MOST_PAGES:
            raise ExtractionError(f"{url}: this PDF has {len(document)} pages; at most {MOST_PAGES} are read")
        found = []
        characters = 0
        for number in range(len(document)):
            lines, height, count = _page(document, number, url)
            characters += count
            if characters > MOST_CHARACTERS:
                raise ExtractionError(f"{url}: this PDF has more than {MOST_CHARACTERS} characters")
            found.append((lines, height))
        return found
    finally:
        document.close()


def _page(document: pdfium.PdfDocument, number: int, url: str) -> tuple[list[Line], float, int]:
    try:
        page = document[number]
        letters = page.get_textpage()
    except pdfium.PdfiumError as error:
        raise ExtractionError(f"{url}: page {number + 1} of this PDF is broken ({error})") from error
    try:
        count = letters.count_chars()
        if count > MOST_CHARACTERS_OF_A_PAGE:
            raise ExtractionError(f"{url}: page {number + 1} of this PDF has {count} characters; that is no page")
        return list(_lines(letters.raw, count, number)), page.get_height(), count
    finally:
        letters.close()
        page.close()


_UNSEEN = re.compile(
    "[\x00\x01\x03-\x08\x0b\x0e-\x1f\x7f-\x9f\u200b\u2060\ufeff\ufffe\uffff\ufffd\u202a-\u202e\u2066-\u2069]"
)
_SOFT_HYPHEN = "\x02"


def _lines(page: ctypes.c_void_p, count: int, number: int) -> Iterator[Line]:
    box = raw.FS_RECTF()
    current: Line | None = None
    indices: list[int] = []
    spaced = False
    for index in range(count):
        code = raw.FPDFText_GetUnicode(page, index)
        if code in (0x0A, 0x20, 0xA0, 0x09, 0x3000):
            spaced = True
            continue
        character = _character(page, index, code)
        if not character or not raw.FPDFText_GetLooseCharBox(page, index, box):
            continue
        # The font size as told is before scaling; the height of the box (ascent to descent) is what is seen.
        size = 0.87 * abs(box.top - box.bottom)
        if current is not None and _goes_on(current, box, size):
            if spaced or box.left - current.right > 0.18 * size:
                current.text += " "
            current.text += character
            current.right = max(current.right, box.right)
            current.top, current.bottom = max(current.top, box.top), min(current.bottom, box.bottom)
        else:
            if current is not None:
                current.bold = _is_bold(page, indices)
                yield current
            current = Line(character, box.left, box.right, box.bottom, box.top, size, False, number)
            indices = []
        indices.append(index)
        spaced = False
    if current is not None:
        current.bold = _is_bold(page, indices)
        yield current


def _character(page: ctypes.c_void_p, index: int, code: int) -> str:
    """The letter at a place; empty for what nobody sees. A hyphen that only parts a word becomes U+0002."""
    if not 0x20 < code < 0x110000 or 0xD800 <= code < 0xE000:
        return _SOFT_HYPHEN if code == 2 else ""
    character = chr(code)
    if code in (0xAD, 0xFFFE):
        return _SOFT_HYPHEN
    return "" if _UNSEEN.match(character) or character.isspace() else character


_BOLD = re.compile(rb"bold|black|heavy|demi", re.IGNORECASE)


def _is_bold(page: ctypes.c_void_p, indices: list[int]) -> bool:
    """By the names of the fonts at the start, middle and end of a line; the weight that files tell is often wrong."""
    name, flags = ctypes.create_string_buffer(128), ctypes.c_int()
    for index in {indices[0], indices[len(indices) // 2], indices[-1]}:
        raw.FPDFText_GetFontInfo(page, index, name, 128, ctypes.byref(flags))
        if not _BOLD.search(name.value):
            return False
    return True


def _goes_on(line: Line, box: raw.FS_RECTF, size: float) -> bool:
    """Whether a letter stands on the line: beside it, at its height, no column's gap away."""
    middle = (box.top + box.bottom) / 2
    level = line.bottom - 0.1 * line.height <= middle <= line.top + 0.1 * line.height
    return bool(level and -0.8 * size <= box.left - line.right <= 1.1 * max(size, line.size))


# --- what the printer added --------------------------------------------------------------------------------------

_MARGIN = 0.15  # of the height of a page
_PAGE_NUMBER = re.compile(
    r"(?:[-–—|·•\s]*(?:page|seite|p\.|pag\.|pagina|página|sida|side|strona)?\s*)?(?:\d{1,4}|[ivxlc]{1,7})"
    r"(?:\s*(?:/|of|von|de|sur|di|van|af|z)\s*\d{1,4})?[-–—|·•\s]*",
    re.IGNORECASE,
)


def _running(pages: Sequence[tuple[list[Line], float]]) -> set[int]:
    """The lines (by identity) in the margins that are page numbers or come back on page after page."""
    margins = [(line, re.sub(r"\d+", "#", line.text.lower())) for page in pages for line in _in_margins(*page)]
    on_pages: dict[str, set[int]] = {}
    for line, shape in margins:
        on_pages.setdefault(shape, set()).add(line.page)
    often = max(2, min(len(pages) * 2 // 5, 8))
    return {
        id(line)
        for line, shape in margins
        if len(on_pages[shape]) >= often or (len(pages) > 1 and _PAGE_NUMBER.fullmatch(line.text))
    }


def _in_margins(lines: list[Line], height: float) -> Iterator[Line]:
    """Up to three rows at the top and at the bottom of a page that a gap parts from its text.

    Without the gap they may be text: a contract's lines look alike once their numbers are taken out.
    """
    for downwards in (True, False):
        block: list[Line] = []
        for line in sorted(lines, key=lambda each: -each.top if downwards else each.bottom):
            if block and _gap(block[-1], line, downwards) > 0.9 * line.size:
                yield from block
                block = []
            inside = line.bottom > height * (1 - _MARGIN) if downwards else line.top < height * _MARGIN
            if not inside or len(block) > 6:
                break
            block.append(line)


def _gap(line: Line, following: Line, downwards: bool) -> float:
    return line.bottom - following.top if downwards else following.bottom - line.top


# --- reading order -----------------------------------------------------------------------------------------------


def _in_reading_order(lines: list[Line]) -> list[Line]:
    """The lines of a page, column after column. Splits the page at wide gaps and at gutters, from the outside in."""
    if len(lines) < 2:
        return lines
    gutter = _gutter(lines)
    if gutter is not None:
        left = [line for line in lines if line.right <= gutter]
        right = [line for line in lines if line.right > gutter]
        return _in_reading_order(left) + _in_reading_order(right)
    parts = _split_at_spanning_lines(lines)
    if len(parts) > 1:
        return [line for part in parts for line in _in_reading_order(part)]
    return _by_rows(lines)


def _gutter(lines: list[Line]) -> float | None:
    """Where a free vertical strip parts two columns of prose; `None` for one column, and for the columns of a table."""
    if len(lines) < 6:
        return None
    left, right = min(line.left for line in lines), max(line.right for line in lines)
    if right - left < 150:
        return None
    free = _free_strips([(line.left, line.right) for line in lines])
    for start, end in sorted(free, key=lambda strip: strip[0] - strip[1]):
        middle = (start + end) / 2
        if end - start < 8 or not left + 0.25 * (right - left) < middle < right - 0.25 * (right - left):
            continue
        sides = ([line for line in lines if line.right <= middle], [line for line in lines if line.left >= middle])
        if all(_is_prose(side) for side in sides):
            return middle
    return None


def _free_strips(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    free: list[tuple[float, float]] = []
    reached: float | None = None
    for start, end in sorted(spans):
        if reached is not None and start > reached:
            free.append((reached, start))
        reached = end if reached is None else max(reached, end)
    return free


def _is_prose(side: list[Line]) -> bool:
    """Whether lines fill their column, as prose does and the cells of a table do not."""
    if len(side) < 3:
        return False
    width = max(line.right for line in side) - min(line.left for line in side)
    filled = median(line.right - line.left for line in side) > 0.6 * width
    return filled and median(len(line.text.split()) for line in side) >= 4


def _split_at_spanning_lines(lines: list[Line]) -> list[list[Line]]:
    """Runs of lines from top to bottom, cut where a line crosses the gutter that the narrow lines leave free."""
    left, right = min(line.left for line in lines), max(line.right for line in lines)
    gutter = _gutter([line for line in lines if line.right - line.left < 0.6 * (right - left)])
    if gutter is None:
        return [lines]
    parts: list[list[Line]] = []
    kind: bool | None = None
    for line in sorted(lines, key=lambda each: (-each.top, each.left)):
        across = line.left < gutter < line.right
        if across is not kind:
            parts.append([])
            kind = across
        parts[-1].append(line)
    return parts


def _by_rows(lines: list[Line]) -> list[Line]:
    """Lines from top to bottom; those on one baseline from left to right, as one line."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda each: (-(each.top + each.bottom) / 2, each.left)):
        last = rows[-1][0] if rows else None
        if last is not None and abs((last.top + last.bottom) - (line.top + line.bottom)) / 2 < 0.4 * min(
            last.height, line.height
        ):
            rows[-1].append(line)
        else:
            rows.append([line])
    return [_joined(sorted(row, key=lambda each: each.left)) for row in rows]


def _joined(row: list[Line]) -> Line:
    first = row[0]
    if len(row) == 1:
        return first
    return Line(
        " ".join(line.text for line in row),
        first.left,
        max(line.right for line in row),
        min(line.bottom for line in row),
        max(line.top for line in row),
        max(row, key=lambda line: len(line.text)).size,
        all(line.bold for line in row),
        first.page,
    )


# --- lines to Markdown -------------------------------------------------------------------------------------------

_BULLET = re.compile(r"^[•‣◦▪■●○·∙\uf0b7\uf0a7\u2043\u27a2➢✓–](?=\s)\s*|^o\s(?=[A-Z])")
_OPENER = re.compile(
    r"^(?:[•‣◦▪■●○·∙\uf0b7\uf0a7\u2043\u27a2➢✓]|[-–]\s|\(?(?:\d{1,3}(?:\.\d{1,3})*|[a-zA-Z]|[ivxlcIVXLC]{1,5})[.)]{1,2}\s|\d{1,2}(?:\.\d{1,2})+\s|"
    r"(?:Article|Section|Artikel|Artículo|Articolo)\s*\d)"
)
_SENTENCE_END = re.compile(r"[.!?:;…。][\"”’)\]]*$")


@dataclass(slots=True)
class _Paragraph:
    lines: list[Line]

    @property
    def size(self) -> float:
        return max(self.lines, key=lambda line: len(line.text)).size

    @property
    def bold(self) -> bool:
        return all(line.bold for line in self.lines)


def _to_markdown(lines: list[Line], body: float) -> str:
    paragraphs = _paragraphs(lines)
    vocabulary = {word.lower() for line in lines for word in re.findall(r"\w+(?:-\w+)*", line.text)}
    larger = sorted({round(each.size * 2) / 2 for each in paragraphs if each.size > 1.12 * body}, reverse=True)
    capitals_used = any(each.bold and each.lines[0].text.isupper() for each in paragraphs)
    blocks = []
    for paragraph in paragraphs:
        text = _text(paragraph.lines, vocabulary)
        if not text:
            continue
        level = _heading_level(paragraph, text, body, larger, capitals_used=capitals_used)
        if level:
            blocks.append(f"{'#' * level} {text}")
        else:
            text = _BULLET.sub("- ", text)
            blocks.append("\\" + text if text[0] in "#>|" else text)
    return "\n\n".join(blocks)


def _heading_level(paragraph: _Paragraph, text: str, body: float, larger: list[float], *, capitals_used: bool) -> int:
    """1-6 for a heading, 0 for text. Sizes above the body's rank by size; lines in bold or capitals come after."""
    if len(text.split()) > 25 or not re.search(r"[^\W\d_]", text) or _BULLET.match(text):
        return 0
    size = round(paragraph.size * 2) / 2
    if size in larger:
        return min(larger.index(size) + 1, 5)
    capitals = text.isupper() and re.search(r"[^\W\d_]{4}", text) is not None
    if len(paragraph.lines) > 2 or len(text.split()) > 15 or text[-1] in ";,:":
        return 0
    if capitals and text[-1] != ".":
        return min(len(larger) + 1, 5)
    # Below headings in capitals, those in bold alone are the second rank.
    return min(len(larger) + (2 if capitals_used else 1), 6) if paragraph.bold else 0


def _paragraphs(lines: list[Line]) -> list[_Paragraph]:
    found: list[_Paragraph] = []
    for number, line in enumerate(lines):
        if found and _belongs(found[-1], line, lines, number):
            found[-1].lines.append(line)
        else:
            found.append(_Paragraph([line]))
    return found


def _belongs(paragraph: _Paragraph, line: Line, lines: list[Line], number: int) -> bool:
    """Whether a line goes on with the paragraph above it."""
    above = paragraph.lines[-1]
    if abs(above.size - line.size) > 0.12 * max(above.size, line.size) or (
        paragraph.bold != line.bold and len(paragraph.lines) == 1 and paragraph.bold
    ):
        return False
    if _OPENER.match(line.text):
        return False
    if line.page != above.page or line.bottom > above.top:  # the next page or column
        return (
            not _SENTENCE_END.search(above.text)
            and not (paragraph.bold and line.bold != above.bold)
            and (line.text[:1].islower() or above.text[-1:] in ",-\x02")
        )
    gap = above.bottom - line.top
    leading = _leading(lines, number)
    if above.bottom - line.bottom > 1.35 * leading and gap > 0.35 * line.size:
        return False
    if _ends_early(above, line, lines, number) and (_SENTENCE_END.search(above.text) or line.text[:1].isupper()):
        return False
    return not (
        _SENTENCE_END.search(above.text) and line.left > above.left + 0.9 * line.size and line.text[:1].isupper()
    )


def _leading(lines: list[Line], number: int) -> float:
    """The usual distance of baselines around a line."""
    near = lines[max(0, number - 12) : number + 13]
    steps = [
        a.bottom - b.bottom for a, b in pairwise(near) if a.page == b.page and 0 < a.bottom - b.bottom < 3 * a.size
    ]
    return sorted(steps)[len(steps) // 3] if steps else 1.2 * lines[number].size


def _ends_early(line: Line, below: Line, lines: list[Line], number: int) -> bool:
    """Whether the first word of the line below would have fitted on this one, so that the break was meant."""
    near = [each for each in lines[max(0, number - 10) : number + 10] if each.page == line.page]
    alike = [each for each in near if abs(each.left - line.left) < 60 and abs(each.size - line.size) < 1]
    edge = max((each.right for each in alike), default=line.right)
    letter = (line.right - line.left) / max(1, len(line.text))
    return line.right + letter * (len(below.text.split(" ")[0]) + 1.5) < edge


def _text(lines: list[Line], vocabulary: set[str]) -> str:
    text = ""
    for line in lines:
        if not text:
            text = line.text
        elif text.endswith(("-", _SOFT_HYPHEN)) and line.text[:1].islower():
            text = _dehyphenated(text[:-1], line.text, vocabulary)
        elif re.search(r"\w[-/\x02]$", text) or (re.search(r"https?://\S*$", text) and re.search(r"[/?&=_-]$", text)):
            text += line.text
        else:
            text += " " + line.text
    return re.sub(r"\s+", " ", text.replace(_SOFT_HYPHEN, "")).strip()


def _dehyphenated(text: str, rest: str, vocabulary: set[str]) -> str:
    """A word cut at the end of a line: whole, but with its hyphen if that is how the document writes it elsewhere."""
    first, last = re.search(r"\w*$", text), re.match(r"\w*", rest)
    head, tail = (first[0] if first else "").lower(), (last[0] if last else "").lower()
    hyphenated = f"{head}-{tail}" in vocabulary and head + tail not in vocabulary
    return f"{text}-{rest}" if hyphenated else text + rest


# --- as a process of its own: see tosmon.extract.apart -----------------------------------------------------------

NO_TEXT = 3
"""The exit code of a file that cannot be read; why is on stdout."""
_CPU_SECONDS, _MEMORY = 30, 1_500_000_000


def _main() -> int:
    with suppress(ImportError, ValueError, OSError):  # not every system has limits
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    code = 0
    try:
        text = pdf_to_markdown(sys.stdin.buffer.read(), sys.argv[1])
    except ExtractionError as error:
        text, code = str(error), NO_TEXT
    sys.stdout.buffer.write(text.encode("utf-8", "replace"))
    return code


if __name__ == "__main__":
    sys.exit(_main())
