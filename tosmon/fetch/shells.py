"""Tell a page whose text a script would have to bring from one that brought it.

Asked of every answer when a browser is at hand, so the common case (a page with paragraphs) must cost microseconds.
"""

from __future__ import annotations

import re
from urllib.parse import urljoin

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from tosmon.model import Response, SourceDocument

ENOUGH_WORDS = 60
"""A page with fewer words has no terms on it; the shortest real terms met hold some hundred."""

_EMBEDDED = re.compile(rb"<script[^>]+type=[\"']?application/(?:ld\+)?json[^>]*>([^<]{20000})", re.IGNORECASE)
_NOSCRIPT = re.compile(rb"<noscript[^>]*>.*?</noscript\s*>", re.IGNORECASE | re.DOTALL)
_WORD = re.compile(r"\w+")
_REFRESH = re.compile(r"[0-5](?:\.\d*)?\s*[;,]\s*(?:url\s*=)?\s*([^;]+)", re.IGNORECASE)  # after five seconds at most


def leads_to(answer: Response) -> str | None:
    """Where a page sends its visitors by itself, if it does little else ("You should be redirected quickly").

    A page with text that reloads itself, or goes elsewhere after a while, is read as it stands.
    """
    if answer.status != 200 or not _is_html(answer) or b"efresh" not in answer.body[:50_000]:
        return None
    tree = LexborHTMLParser(answer.body.decode("utf-8", "replace"))
    found = next((node for node in tree.css("meta[http-equiv]") if _refreshes(node)), None)
    match = _REFRESH.match((found.attributes.get("content") or "").strip()) if found is not None else None
    tree.strip_tags(["script", "style", "template", "noscript"])
    if match is None or len(_WORD.findall(tree.body.text(separator=" ") if tree.body else "")) >= ENOUGH_WORDS:
        return None
    try:
        target = urljoin(answer.final_url, match[1].strip().strip("'\""))
    except ValueError:
        return None
    return target if _place(target) != _place(answer.final_url) else None


def _refreshes(node: LexborNode) -> bool:
    return (node.attributes.get("http-equiv") or "").strip().lower() == "refresh" and not _in_noscript(node)


def _in_noscript(node: LexborNode) -> bool:
    above = node.parent
    while above is not None:
        if above.tag == "noscript":
            return True
        above = above.parent
    return False


def _place(url: str) -> str:
    return url.partition("#")[0]


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
