"""Read a document by the form that fits its date, and by another when that one finds nothing.

Declarations age: a redesign leaves selectors that match nothing, and recorded pages are older than the form in
force. So the dated form is tried, then the document's others, and at last the page is read without selectors, which
is believed only when it resembles the last good text. What was used is always said.
"""

from __future__ import annotations

import hashlib
import html as entities
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tosmon.errors import ExtractionError
from tosmon.extract.apart import pdf_to_markdown_apart
from tosmon.extract.charset import decode, is_garbled
from tosmon.extract.embedded import json_html
from tosmon.extract.focus import Focus, focus
from tosmon.extract.legal import reads_like_terms
from tosmon.extract.main_text import main_html
from tosmon.extract.markdown import to_markdown
from tosmon.extract.media import Media, media_of
from tosmon.extract.plain import plain_to_markdown
from tosmon.extract.slim import slim, words_of
from tosmon.model import Form, Reading, Response, SourceDocument, Terms

PART_SEPARATOR = "\n\n- - -\n\n"
DECLARED = "declared"
WITHOUT_SELECTORS = "without selectors"

_FEW = 100  # words; a form that reads fewer may be the wrong one for this page
_LARGEST = 5_000_000  # characters of slim HTML
_ALIKE = 0.5  # of the runs of three words, shared with the last good text


def fingerprint(responses: Sequence[Response], form: Form) -> bytes:
    """A digest (20 bytes) of all that `read` takes from these responses by this form: equal digests, equal text.

    Costs a few milliseconds. What rotates without being read (nonces, tokens, scripts, styles, classes) does not touch
    it. Where a form finds little or nothing, other forms may be used, so there the whole page counts. After a reading
    by another form than the one in force, `form_named` gives the form to ask about.
    """
    digest = hashlib.blake2b(digest_size=20)
    for response, source in zip(responses, form.sources, strict=False):
        media = _media(response)
        digest.update(f"{len(responses)} {media} ".encode())
        if media is not Media.HTML:
            digest.update(response.body)
            continue
        part = focus(_text(response), source, response.final_url)
        digest.update(f"{len(part.html)} {part.base!r} {part.missing!r} ".encode("utf-8", "surrogatepass"))
        digest.update(part.html.encode("utf-8", "surrogatepass"))
        if len(part.html) < 80 * _FEW and words_of(part.html) < 4 * _FEW and not part.whole:
            # Of the whole page what can be read, not its bytes: short documents have rotating nonces, too.
            whole = focus(_text(response), SourceDocument(source.url), response.final_url)
            digest.update(whole.html.encode("utf-8", "surrogatepass"))
    return digest.digest()


def read(responses: Sequence[Response], terms: Terms, at: datetime, last_good: str | None = None) -> Reading:
    """The Markdown of a document as these responses give it, one response for each source document.

    `at` is when they were received. `last_good` is the last text that was believed: with it, a page whose selectors
    are lost is read without them, and the result taken if it is alike. `Reading.missing` names selectors of the form
    that was used which matched nothing, or, when nothing was found and `text` is empty, those of the form of the date.
    Raises `ExtractionError` for bytes that are no text (a broken PDF, a scan, an image).
    """
    pages = [_Page.of(response) for response in responses]
    title = next((page.title for page in pages if page.title), "")
    language = next((page.language for page in pages if page.language), None)
    dated, *others = _forms(terms, at)
    first = _by_form(pages, dated, _name(dated, terms))
    found = first if _is_enough(first, last_good) else _better(pages, terms, others, first, last_good)
    return replace(found, title=title or _first_heading(found.text), language=language)


def _forms(terms: Terms, at: datetime) -> list[Form]:
    """All forms of a document, best guess first: that of the date, then from the newest to the oldest."""
    newest_first = [terms.form, *reversed(terms.earlier_forms)]
    dated = next((form for form in terms.earlier_forms if form.valid_until and at <= form.valid_until), terms.form)
    return [dated, *(form for form in newest_first if form is not dated)]


def _name(form: Form, terms: Terms) -> str:
    """How `Reading.form` calls a form: by the day until which it was good, and its place if several ended that day."""
    if form.valid_until is None:
        return DECLARED
    day = form.valid_until.date()
    same = [each for each in terms.earlier_forms if each.valid_until is not None and each.valid_until.date() == day]
    place = next(number for number, each in enumerate(same, 1) if each is form)
    return f"earlier until {day}" + (f" ({place})" if place > 1 else "")


def form_named(terms: Terms, name: str) -> Form:
    """The form that a `Reading.form` or a `Version.form` tells of, for `fingerprint`; the one in force if it is gone."""
    if name == WITHOUT_SELECTORS:
        return Form(tuple(SourceDocument(source.url, browser=source.browser) for source in terms.form.sources))
    return next((form for form in terms.earlier_forms if _name(form, terms) == name), terms.form)


def _is_enough(reading: Reading, last_good: str | None) -> bool:
    """Whether to look no further: a text of some length, next to the last good one if there is one."""
    words = len(reading.text.split())
    if last_good is None:
        return words >= 4 * _FEW
    return words >= max(_FEW, len(last_good.split()) // 2) or (
        words > 0 and _likeness(reading.text, last_good) >= _ALIKE
    )


def _better(pages: list[_Page], terms: Terms, others: list[Form], first: Reading, last_good: str | None) -> Reading:
    """What another way of reading finds, when it clearly finds more of the document than the form of the date did."""
    tried = {first.text, ""}
    for form in others:
        if _takes_all(form) or len(_pairs(pages, form)) != len(pages):
            continue
        reading = _by_form(pages, form, _name(form, terms))
        if reading.text not in tried and _is_better(reading, first, last_good):
            return reading
        tried.add(reading.text)
    if last_good is not None or not first.text:
        reading = _without_selectors(pages)
        # At a first look there is no good text to hold it against: then it must at least read like terms.
        believed = last_good is not None or reads_like_terms(reading.text)
        if believed and reading.text not in tried and _is_better(reading, first, last_good):
            return replace(reading, missing=first.missing)
    return first


def _takes_all(form: Form) -> bool:
    """Whether a form selects the whole page: it fits every page, with all that stands around the text."""
    return all(selector in ("body", "html", "*") for source in form.sources for selector in source.select)


def _is_better(reading: Reading, first: Reading, last_good: str | None) -> bool:
    if last_good is not None:
        return _likeness(reading.text, last_good) >= max(_ALIKE, 1.2 * _likeness(first.text, last_good))
    # Nothing to hold it against: a short document is what it is, and only next to nothing gives way.
    return len(reading.text.split()) >= max(_FEW, 8 * len(first.text.split()))


def _likeness(text: str, other: str) -> float:
    """How much of their runs of three words two texts share (Dice), from 0 to 1."""
    mine, theirs = _runs(text), _runs(other)
    if not mine or not theirs:
        return 0.0
    return 2 * sum((mine & theirs).values()) / (mine.total() + theirs.total())


def _runs(text: str) -> Counter[tuple[str, str, str]]:
    words = re.findall(r"\w+", text.lower())
    return Counter(zip(words, words[1:], words[2:], strict=False))


# --- one form ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Page:
    """A response with what every form needs of it, worked out once."""

    response: Response
    media: Media
    text: str  # empty for PDF

    @classmethod
    def of(cls, response: Response) -> _Page:
        media = _media(response)
        if media is Media.BINARY:
            raise ExtractionError(
                f"{response.final_url}: neither text nor PDF (an image, an archive or a damaged file)"
            )
        return cls(response, media, "" if media is Media.PDF else _text(response))

    @property
    def title(self) -> str:
        if self.media is not Media.HTML:
            return ""
        match = re.search(r"<title[^>]{0,500}>([^<]{1,1000})", self.text[:500_000], re.IGNORECASE)
        return " ".join(entities.unescape(match[1]).split())[:300] if match else ""

    @property
    def language(self) -> str | None:
        match = re.search(r"<html[^>]{0,2000}?\slang\s*=\s*[\"']?([a-zA-Z]{2,3})\b", self.text[:5000], re.IGNORECASE)
        return match[1].lower() if match else None


def _media(response: Response) -> Media:
    return media_of(response.body, response.header("content-type"))


def _text(response: Response) -> str:
    return decode(response.body, response.header("content-type"))


def _pairs(pages: list[_Page], form: Form) -> list[tuple[_Page, SourceDocument]]:
    """Each page with its source document: by place, or by address when a form has another number of them."""
    if len(form.sources) == len(pages):
        return list(zip(pages, form.sources, strict=True))
    by_url = {source.url: source for source in form.sources}
    return [(page, by_url[page.response.url]) for page in pages if page.response.url in by_url]


def _by_form(pages: list[_Page], form: Form, name: str) -> Reading:
    parts: list[str] = []
    missing: list[str] = []
    for page, source in _pairs(pages, form):
        text, lost = _read_page(page, source)
        missing.extend(lost)
        if text:
            parts.append(text)
    return Reading(PART_SEPARATOR.join(parts), missing=tuple(missing), form=name)


def _without_selectors(pages: list[_Page]) -> Reading:
    parts = (_read_page(page, SourceDocument(page.response.url))[0] for page in pages)
    return Reading(PART_SEPARATOR.join(part for part in parts if part), form=WITHOUT_SELECTORS)


def _read_page(page: _Page, source: SourceDocument) -> tuple[str, tuple[str, ...]]:
    if page.media is Media.PDF:
        return pdf_to_markdown_apart(page.response.body, page.response.final_url), ()
    if page.media is Media.TEXT:
        return plain_to_markdown(_sound(page.text, page.response.final_url)), ()
    if page.media is Media.JSON:
        return to_markdown(slim(json_html(page.text)), page.response.final_url), ()
    part = focus(page.text, source, page.response.final_url)
    return _text_of(part), part.missing


def _text_of(part: Focus) -> str:
    """The Markdown of what a page was cut down to."""
    if len(part.html) > _LARGEST:
        raise ExtractionError(f"{part.base}: {len(part.html)} characters of text are selected; no terms are that long")
    html = slim(main_html(part.html)) if part.whole else part.html
    return to_markdown(_sound(html, part.base), part.base)


def _sound(text: str, url: str) -> str:
    if is_garbled(text):
        raise ExtractionError(f"{url}: no text (a damaged file, or bytes of another kind); look at the URL")
    return text


def _first_heading(text: str) -> str:
    match = re.search(r"^#{1,6} (.+)$", text, re.MULTILINE)
    return match[1][:300] if match else ""
