"""The selector to propose for a page that was declared by its URL alone."""

from __future__ import annotations

import html as entities
import re

from selectolax.lexbor import LexborNode

from tosmon.extract.charset import decode
from tosmon.extract.focus import focus, parse
from tosmon.extract.main_text import main_html
from tosmon.extract.media import Media, media_of
from tosmon.model import Response, SourceDocument

# Names that tools make up anew with each build of a site; a selector must outlive them.
_GENERATED = re.compile(
    r"\d{3,}|^(?:css|sc|jss|emotion|styled|framer|svelte)-|^_|^jss\d|__\w{5,}$|^[a-zA-Z]{1,3}\d|[A-Z][a-z]?\d|[:/\[\]%!]"
)
_ANCHORS = 12
INERT = ("script", "style", "template", "svg", "head")
_PLAIN = re.compile(r"-?[a-zA-Z_][\w-]*")


def suggest_selector(response: Response) -> str | None:
    """A CSS selector for the element that holds the terms; `None` when the page shows none or needs no selector.

    Prefers what survives a redesign: `main`, an id, a telling class, and only what matches once.
    """
    content_type = response.header("content-type")
    if media_of(response.body, content_type) is not Media.HTML:
        return None
    text = decode(response.body, content_type)
    main = main_html(focus(text, SourceDocument(response.url), response.final_url).html)
    paragraphs = [" ".join(entities.unescape(part).split()) for part in re.split(r"<[^>]*>", main)]
    anchors = sorted((part for part in paragraphs if part), key=len, reverse=True)[:_ANCHORS]
    if not anchors or len(anchors[0]) < 40:
        return None
    node = _holder(parse(text).body, anchors)
    while node is not None and node.tag not in ("body", "html"):
        for selector in lasting_names(node):
            if len(node.parser.css(selector)) == 1:
                return selector
        node = node.parent
    return None


def _holder(node: LexborNode | None, anchors: list[str]) -> LexborNode | None:
    """The innermost element with all of the longest pieces of the text that was found."""
    while node is not None:
        inner = next((child for child in node.iter() if child.tag not in INERT and _holds(child, anchors)), None)
        if inner is None or inner.tag in ("p", "ul", "ol", "table"):
            return node
        node = inner
    return None


def _holds(node: LexborNode, anchors: list[str]) -> bool:
    text = " ".join((node.text() or "").split())
    return all(anchor in text for anchor in anchors)


def lasting_names(node: LexborNode) -> list[str]:
    """Selectors of one element by what a redesign is likely to keep, the surest first."""
    tag, attributes = node.tag or "", node.attributes
    found = [tag] if tag in ("main", "article") else []
    identity = attributes.get("id") or ""
    if _is_lasting(identity):
        found.append(f"#{identity}")
    if attributes.get("role") in ("main", "article"):
        found.append(f'[role="{attributes["role"]}"]')
    classes = [name for name in (attributes.get("class") or "").split() if _is_lasting(name)]
    found.extend(f".{name}" for name in classes)
    found.extend(f"{tag}.{name}" for name in classes)
    return found


def _is_lasting(name: str) -> bool:
    return 2 < len(name) < 50 and _PLAIN.fullmatch(name) is not None and not _GENERATED.search(name)
