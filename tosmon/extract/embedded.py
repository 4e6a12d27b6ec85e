"""Terms that a page carries as data for its scripts, when the page itself is an empty shell.

Frameworks put the whole text into JSON (`__NEXT_DATA__`, `__NUXT__`, `window.__STATE__ = {…}`): as HTML, as
Markdown, or as a tree of rich text. It is read as data; no script is run.
"""

from __future__ import annotations

import html as entities
import json
import re
from collections.abc import Iterator
from typing import Any

from selectolax.lexbor import LexborHTMLParser

_PROSE = 8  # words in one string
_LARGEST = 8_000_000  # characters of one script
_DEEPEST = 200
_ASSIGNED = re.compile(r"(?:window|self|globalThis)?[.\[]?[\"']?[\w$]+[\"']?\]?\s*=\s*(?=[{\[])")
_MARKUP = re.compile(r"<(?:p|div|li|ul|ol|h[1-6]|br|strong|b|a|span|table)[\s>/]", re.IGNORECASE)
_HEADING = re.compile(r"^(?:heading|h)[-_ ]?([1-6])$", re.IGNORECASE)
_KINDS = {
    "paragraph": "p",
    "p": "p",
    "listitem": "li",
    "list-item": "li",
    "list_item": "li",
    "li": "li",
    "orderedlist": "ol",
    "ordered-list": "ol",
    "ordered_list": "ol",
    "ol": "ol",
    "unorderedlist": "ul",
    "unordered-list": "ul",
    "bulletlist": "ul",
    "bullet_list": "ul",
    "bulleted-list": "ul",
    "ul": "ul",
    "blockquote": "blockquote",
    "table": "table",
    "tr": "tr",
    "td": "td",
}
# All the texts that a leaf of a tree of rich text has; a node with more is a record with a text among others.
_LEAF_KEYS = frozenset(("value", "text", "nodeType", "type", "_type", "_key", "key", "id"))
# What a string is for, by its key. Text stands under these; under the others stand names, addresses and settings.
_TEXT_KEYS = re.compile(
    r"^(?:text|value|html|content|contents|body|copy|markdown|md|title|subtitle|heading|header|headline|label|question|answer|description|"
    r"paragraph|rendered|raw|richtext|rich_text|rendered_content|children|data|section|article|summary|intro|[0-9]+)$|(?:text|html|body|content|copy|title|heading)$",
    re.IGNORECASE,
)


def embedded_html(tree: LexborHTMLParser) -> str:
    """The prose in a page's data scripts as HTML; empty when there is none. `tree` is not changed."""
    best = ""
    for script in tree.css("script"):
        text = script.text() or ""
        if not 200 < len(text) < _LARGEST or script.attributes.get("src"):
            continue
        for value in _values(text, (script.attributes.get("type") or "").lower()):
            found = _rendered(value) if _prose(value) else ""
            if _words(found) > _words(best):
                best = found
    return best


def json_html(text: str) -> str:
    """The prose of a JSON answer as HTML; empty when it holds none."""
    return next((_rendered(value) for value in _values(text, "application/json") if _prose(value)), "")


def _words(html: str) -> int:
    return len(re.sub(r"<[^>]*>", " ", html).split())


def _values(text: str, kind: str) -> Iterator[Any]:
    decoder = json.JSONDecoder(strict=False)
    stripped = text.strip()
    try:
        if "json" in kind or stripped[:1] in ("{", "["):
            yield decoder.raw_decode(stripped)[0]
        elif kind in ("", "text/javascript", "application/javascript"):
            for match in list(_ASSIGNED.finditer(text))[:20]:
                try:
                    yield decoder.raw_decode(text, match.end())[0]
                except ValueError:
                    continue
    except (ValueError, RecursionError):
        return


def _rendered(value: Any) -> str:
    """The HTML of the smallest part of a JSON value that holds nearly all its prose."""
    root = _densest(value)
    seen: set[str] = set()
    return "".join(_render(root, "", seen, 0))


def _prose(value: Any, depth: int = 0) -> int:
    if isinstance(value, str):
        words = _words(value) if len(value) > 30 else 0
        return words if words >= _PROSE else 0
    if depth > _DEEPEST:
        return 0
    if isinstance(value, dict):
        return sum(_prose(each, depth + 1) for each in value.values())
    if isinstance(value, list):
        return sum(_prose(each, depth + 1) for each in value)
    return 0


def _densest(value: Any) -> Any:
    for _ in range(_DEEPEST):
        children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        best = max(children, key=_prose, default=None)
        if best is None or isinstance(best, str) or _prose(best) < 0.9 * _prose(value):
            return value
        value = best
    return value


def _render(value: Any, key: str, seen: set[str], depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    if isinstance(value, str):
        yield from _render_text(value, key, seen)
    elif isinstance(value, list):
        for each in value:
            yield from _render(each, key, seen, depth + 1)
    elif isinstance(value, dict):
        yield from _render_node(value, key, seen, depth)


def _render_node(node: dict[str, Any], key: str, seen: set[str], depth: int) -> Iterator[str]:
    kind = next(
        (
            str(node[name])
            for name in ("nodeType", "type", "_type", "style", "tag", "tagName")
            if isinstance(node.get(name), str)
        ),
        "",
    )
    style = node.get("style")
    heading = _HEADING.match(kind) or (_HEADING.match(style) if isinstance(style, str) else None)
    level = (
        node.get("level") or (node.get("attrs") or {}).get("level")
        if isinstance(node.get("attrs") or {}, dict)
        else None
    )
    if heading is None and kind.lower() == "heading" and str(level) in "123456":
        tag: str | None = f"h{level}"
    else:
        tag = f"h{heading[1]}" if heading else _KINDS.get(kind.lower())
    text = node.get("value") if isinstance(node.get("value"), str) else node.get("text")
    if (
        tag is None
        and isinstance(text, str)
        and all(name in _LEAF_KEYS or not isinstance(each, str) for name, each in node.items())
        and not _MARKUP.search(text)
    ):
        yield entities.escape(text, quote=False)
        return
    if tag:
        yield f"<{tag}>"
    for name, each in node.items():
        if isinstance(each, (dict, list)) or (isinstance(each, str) and _is_text(name, each)):
            yield from _render(each, name, seen, depth + 1)
    if tag:
        yield f"</{tag}>"


def _is_text(key: str, value: str) -> bool:
    if value.startswith(("http://", "https://", "/", "data:", "#", "{")):
        return False
    return " " in value.strip() and (bool(_TEXT_KEYS.search(key)) or len(value.split()) >= _PROSE)


def _render_text(value: str, key: str, seen: set[str]) -> Iterator[str]:
    if not value.strip() or (len(value) > 200 and value in seen):
        return
    seen.add(value)
    if _MARKUP.search(value):
        yield f"<div>{value}</div>"
    elif re.search(r"(?:title|heading|headline|question)$", key, re.IGNORECASE) and len(value.split()) < 25:
        yield f"<h2>{entities.escape(value, quote=False)}</h2>"
    else:
        paragraphs = re.split(r"\n\s*\n", value)
        yield "".join(f"<p>{entities.escape(each, quote=False)}</p>" for each in paragraphs)
