"""A page cut down to what a declaration selects, as a clean string of HTML.

This is the one look at a page that both the fingerprint and the careful reading share. A fast HTML5 parser applies
filters, `remove` and `select`, and the result is slimmed to what is read. All selectors are answered by that parser;
the odd one that it does not know goes to soupsieve.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urljoin

import soupsieve
from bs4 import BeautifulSoup
from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from tosmon.extract.emails import PROTECTED, decode_email, decode_link
from tosmon.extract.embedded import embedded_html
from tosmon.extract.filters import apply_filter
from tosmon.extract.slim import slim, words_of
from tosmon.extract.taming import tame
from tosmon.model import Range, Selector, SourceDocument

# Never text of the document, wherever it stands. `noscript` stays: there are pages whose terms stand only there.
_NEVER_READ = ["script", "style", "template", "svg", "head", "iframe", "object", "canvas", "video", "audio", "map"]

_SHELL = 150  # words; a page with fewer may carry its terms as data for scripts


@dataclass(frozen=True, slots=True)
class Focus:
    """What is left of a page. `html` is empty when nothing was found; `base` is what links are relative to.

    `whole` means that nothing was selected: `html` is the whole page with hints, for `main_text` to choose from.
    """

    html: str
    base: str
    missing: tuple[str, ...] = ()
    whole: bool = False


def parse(text: str) -> LexborHTMLParser:
    """An HTML5 tree of a page."""
    return LexborHTMLParser(tame(text) or "<html></html>")


def focus(text: str, source: SourceDocument, url: str) -> Focus:
    """What `source` selects of a page, in the order of its selectors: filters, then `remove`, then `select`."""
    tree = parse(text)
    base = base_of(tree, url)
    for filter_ in source.filters:
        apply_filter(tree, filter_, base)
    reveal_emails(tree)
    for selector in source.remove:
        tree = _remove(tree, selector)
    if not source.select:
        return Focus(_whole(tree, text), base, whole=True)
    parts: list[str] = []
    missing: list[str] = []
    room = 4 * len(text) + 100_000
    for selector in source.select:
        found = _select_range(tree, selector) if isinstance(selector, Range) else _select(tree, selector, room)
        if not found:
            missing.append(describe(selector))
        parts.extend(found)
    return Focus("\n".join(f"<div>{part}</div>" for part in parts), base, tuple(missing))


def _whole(tree: LexborHTMLParser, text: str) -> str:
    """The page with hints; what scripts carry as data is added when the page itself is a shell without text."""
    html = slim(_html(tree.body), hints=True) if tree.body is not None else ""
    if len(html) > 400 * _SHELL or words_of(html) >= _SHELL:
        return html
    embedded = embedded_html(parse(text))
    return html + slim(_html(_body(embedded)), hints=True) if embedded else html


def describe(selector: Selector) -> str:
    """A selector as people write it, for `Reading.missing`."""
    if isinstance(selector, str):
        return selector
    return (
        f"{'from' if selector.start_included else 'after'} {selector.start} "
        f"{'to the end of' if selector.end_included else 'to before'} {selector.end}"
    )


def base_of(tree: LexborHTMLParser, url: str) -> str:
    """What relative links of a page are relative to: its `<base href>`, else the address that answered."""
    element = tree.css_first("base[href]")
    href = (element.attributes.get("href") or "").strip() if element is not None else ""
    return resolve(url, href) if href else url


def resolve(base: str, href: str) -> str:
    """`href` made absolute; as it is when it makes no sense."""
    try:
        return urljoin(base, href)
    except ValueError:
        return href


def reveal_emails(tree: LexborHTMLParser) -> None:
    """Write obfuscated addresses as text and links as a browser would show them."""
    for node in tree.css("[data-cfemail]"):
        address = decode_email(node.attributes.get("data-cfemail") or "")
        if address is not None:
            _become_text(node, address)
    for node in tree.css(f'a[href*="{PROTECTED}"]'):
        href = node.attributes.get("href") or ""
        target = decode_link(href)
        shown = (node.text() or "").strip()
        if target is None and "@" in shown:
            target = "mailto:" + shown
        elif target is not None and shown.replace("\u00a0", " ").strip("[]") == "email protected":
            _replace_content(node, target.removeprefix("mailto:").partition("?")[0])
        node.attrs["href"] = target or PROTECTED


def _become_text(node: LexborNode, text: str) -> None:
    # The element may itself be the link (`<a class="__cf_email__" data-cfemail=…>`): then it stays one.
    if node.tag == "a":
        node.attrs["href"] = "mailto:" + text
        _replace_content(node, text)
    else:
        node.replace_with(text)


def _replace_content(node: LexborNode, text: str) -> None:
    for child in list(node.iter(include_text=True)):
        child.remove()
    node.insert_child(text)


# --- selecting ---------------------------------------------------------------------------------------------------


def _nodes(tree: LexborHTMLParser, selector: str) -> list[LexborNode] | None:
    """All matches in document order; `None` when the fast parser does not know the selector."""
    try:
        return tree.css(selector)
    except (SelectolaxError, ValueError):
        return None


def _select(tree: LexborHTMLParser, selector: str, room: int) -> list[str]:
    """All matches, in document order. A match inside another stands there twice, as declarations are read elsewhere.

    Nesting can make a small page a huge text ("div" on a thousand nested ones): above `room` characters, matches
    inside others are left out.
    """
    nodes = _nodes(tree, selector)
    if nodes is None:
        return _select_slowly(tree, selector)
    found = []
    taken: set[int] = set()
    for node in nodes:
        if room <= 0 and _within(node, taken):
            continue
        taken.add(node.mem_id)
        html = _html(node)
        room -= len(html)
        part = slim(html)
        if part:
            found.append(part)
    return found


def _within(node: LexborNode, taken: set[int]) -> bool:
    above = node.parent
    while above is not None:
        if above.mem_id in taken:
            return True
        above = above.parent
    return False


def _select_slowly(tree: LexborHTMLParser, selector: str) -> list[str]:
    soup = BeautifulSoup(tree.html or "", "lxml")
    try:
        found = soup.select(_modern(selector))
    except (soupsieve.SelectorSyntaxError, NotImplementedError, ValueError):
        return []
    return [part for element in found if (part := slim(_html(_body(str(element)))))]


def _modern(selector: str) -> str:
    """jQuery's `:contains()` under the name that soupsieve has for it."""
    return selector.replace(":contains(", ":-soup-contains(")


def _body(html: str) -> LexborNode:
    body = parse(html).body
    assert body is not None  # an HTML5 parser always makes one
    return body


def _html(node: LexborNode) -> str:
    node.strip_tags(_NEVER_READ, recursive=True)
    return node.html or ""


def _remove(tree: LexborHTMLParser, selector: Selector) -> LexborHTMLParser:
    if isinstance(selector, Range):
        return _remove_range(tree, selector)
    nodes = _nodes(tree, selector)
    if nodes is None:
        return _remove_slowly(tree, selector)
    gone: set[int] = set()
    for node in nodes:
        if node.mem_id not in gone and node.tag not in ("html", "body"):
            gone.add(node.mem_id)
            node.remove()
    return tree


def _remove_slowly(tree: LexborHTMLParser, selector: str) -> LexborHTMLParser:
    soup = BeautifulSoup(tree.html or "", "lxml")
    try:
        for element in soup.select(_modern(selector)):
            element.extract()
    except (soupsieve.SelectorSyntaxError, NotImplementedError, ValueError):
        return tree
    return parse(str(soup))


# --- ranges ------------------------------------------------------------------------------------------------------

_START, _END = "tosmon-start", "tosmon-end"


def _marked(tree: LexborHTMLParser, between: Range) -> tuple[LexborNode, LexborNode] | None:
    """Put a mark at either end of a range into the tree; `None` when an end is not on the page."""
    starts, ends = _nodes(tree, between.start), _nodes(tree, between.end)
    if not starts or not ends:
        return None
    start, end = tree.create_node(_START), tree.create_node(_END)
    (starts[0].insert_before if between.start_included else starts[0].insert_after)(start)
    (ends[0].insert_after if between.end_included else ends[0].insert_before)(end)
    first, last = tree.css_first(_START), tree.css_first(_END)
    return None if first is None or last is None else (first, last)


def _select_range(tree: LexborHTMLParser, between: Range) -> list[str]:
    copy = parse(tree.html or "")
    marks = _marked(copy, between)
    if marks is None:
        return []
    start, end = marks
    for node in _lineage(start):
        _remove_all(_siblings(node, before=True))
    for node in _lineage(end):
        _remove_all(_siblings(node, before=False))
    # An end that stood before the start went with what was cut away.
    if copy.css_first(_START) is None or copy.css_first(_END) is None or copy.body is None:
        return []
    part = slim(_html(copy.body))
    return [part] if part else []


def _remove_range(tree: LexborHTMLParser, between: Range) -> LexborHTMLParser:
    copy = parse(tree.html or "")
    marks = _marked(copy, between)
    if marks is None:
        return tree
    start, end = marks
    above_end = {node.mem_id for node in _lineage(end)}
    from_start = list(_lineage(start))
    below = next((index for index, node in enumerate(from_start) if _parent_id(node) in above_end), None)
    if below is None:
        return tree
    common = _parent_id(from_start[below])
    from_end = list(_lineage(end))
    top = next(index for index, node in enumerate(from_end) if _parent_id(node) == common)
    if from_end[top].mem_id not in {node.mem_id for node in _siblings(from_start[below], before=False)}:
        return tree
    for node in from_start[:below]:
        _remove_all(_siblings(node, before=False))
    for node in from_end[:top]:
        _remove_all(_siblings(node, before=True))
    for node in _siblings(from_start[below], before=False):
        if node.mem_id == from_end[top].mem_id:
            break
        node.remove()
    start.remove()
    end.remove()
    return copy


def _parent_id(node: LexborNode) -> int | None:
    return node.parent.mem_id if node.parent is not None else None


def _lineage(node: LexborNode) -> Iterable[LexborNode]:
    """The node and what holds it, up to the body."""
    current: LexborNode | None = node
    while current is not None and current.tag not in ("body", "html"):
        yield current
        current = current.parent


def _siblings(node: LexborNode, *, before: bool) -> list[LexborNode]:
    found = []
    current = node.prev if before else node.next
    while current is not None:
        found.append(current)
        current = current.prev if before else current.next
    return found


def _remove_all(nodes: Sequence[LexborNode]) -> None:
    for node in nodes:
        node.remove()
