"""Tell a page whose text a script would have to bring from one that brought it.

Asked of every answer when a browser is at hand, so the common case (a page with paragraphs) must cost microseconds.
"""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser, SelectolaxError

from tosmon.model import Response, SourceDocument

ENOUGH_WORDS = 60
"""A page with fewer words has no terms on it; the shortest real terms met hold some hundred."""

_EMBEDDED = re.compile(rb"<script[^>]+type=[\"']?application/(?:ld\+)?json[^>]*>([^<]{20000})", re.IGNORECASE)
_NOSCRIPT = re.compile(rb"<noscript[^>]*>.*?</noscript\s*>", re.IGNORECASE | re.DOTALL)
_WORD = re.compile(r"\w+")


def is_shell(answer: Response, source: SourceDocument) -> bool:
    """Whether an HTML answer holds nothing to read where the declaration says the terms are."""
    if answer.status != 200 or not _is_html(answer):
        return False
    selectors = [selector for selector in source.select if isinstance(selector, str)]
    if not selectors and answer.body.count(b"</p>") > 20:
        return False
    # A parser that reads <noscript>, as browsers do not, falls into the unclosed <iframe> of a tracking snippet there.
    tree = LexborHTMLParser(_NOSCRIPT.sub(b" ", answer.body).decode("utf-8", "replace"))
    tree.strip_tags(["script", "style", "template"])
    if selectors and len(selectors) == len(source.select):
        return _words_in(tree, selectors) < ENOUGH_WORDS and _lacks(answer)
    return len(_WORD.findall(tree.body.text(separator=" ") if tree.body else "")) < ENOUGH_WORDS and _lacks(answer)


def _is_html(answer: Response) -> bool:
    kind = (answer.header("Content-Type") or "text/html").partition(";")[0].strip().lower()
    return kind in ("text/html", "application/xhtml+xml") and not answer.body.startswith(b"%PDF")


def _words_in(tree: LexborHTMLParser, selectors: list[str]) -> int:
    try:
        found = [node.text(separator=" ") for selector in selectors for node in tree.css(selector)]
    except (SelectolaxError, ValueError):
        return ENOUGH_WORDS  # a selector of a richer dialect: extraction will tell
    return sum(len(_WORD.findall(text)) for text in found)


def _lacks(answer: Response) -> bool:
    """Whether there is no large block of embedded JSON either, which extraction reads without a browser."""
    return _EMBEDDED.search(answer.body) is None
