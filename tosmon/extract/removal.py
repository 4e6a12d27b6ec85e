"""The selector to propose for leaving a part of a page out: one that holds all of it, and none of what stands around."""

from __future__ import annotations

from collections.abc import Sequence

from selectolax.lexbor import LexborNode

from tosmon.extract.charset import decode
from tosmon.extract.focus import parse
from tosmon.extract.media import Media, media_of
from tosmon.extract.suggest import INERT, lasting_names
from tosmon.model import Response

_ENOUGH = 60  # letters of a clause by which it is found: further on, links and line breaks may stand between


def removal_selector(response: Response, inside: Sequence[str], around: Sequence[str]) -> str | None:
    """A CSS selector of the innermost element with all of the texts `inside` it and none of those `around` it.

    Texts are plain, without Markdown. `None` when no lasting name holds just that.
    """
    content_type = response.header("content-type")
    wanted = [text for one in inside if (text := _squeezed(one)[:_ENOUGH])]
    if not wanted or media_of(response.body, content_type) is not Media.HTML:
        return None
    unwanted = [text for one in around if (text := _squeezed(one)[:_ENOUGH])]
    node = _innermost(parse(decode(response.body, content_type)).body, wanted)
    while node is not None and node.tag not in ("body", "html") and not _holds_any(node, unwanted):
        for selector in lasting_names(node):
            if len(node.parser.css(selector)) == 1:
                return selector
        node = node.parent
    return None


def _innermost(node: LexborNode | None, texts: Sequence[str]) -> LexborNode | None:
    if node is None or not _holds_all(node, texts):
        return None
    while inner := next((child for child in node.iter() if child.tag not in INERT and _holds_all(child, texts)), None):
        node = inner
    return node


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _holds_all(node: LexborNode, texts: Sequence[str]) -> bool:
    held = _squeezed(node.text() or "")
    return all(text in held for text in texts)


def _holds_any(node: LexborNode, texts: Sequence[str]) -> bool:
    held = _squeezed(node.text() or "")
    return any(text in held for text in texts)
