"""Find the terms on a page that nobody wrote selectors for.

General extractors are made for news: they drop what stands in accordions, in several containers, in lists and tables,
and keep cookie banners. Terms have one shape: most of the prose of the page stands together. So the smallest element
that holds nearly all prose is taken, what announces itself as navigation or notice is cut out of it, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_TAG = re.compile(r'<(/?)([a-z][a-z0-9]*)((?:"[^"]*"|[^>"])*)>')
_HINTS = re.compile(r' k="([^"]*)"')
_VOID = frozenset(("br", "img", "hr", "wbr"))
_INLINE = frozenset(("a", "b", "strong", "i", "em", "sup", "sub", "del", "s", "strike", "q"))
_PROSE = 8  # words in one run of text outside links that make it a sentence rather than a label


@dataclass(eq=False, slots=True)
class Element:
    """An element of slim HTML: where it stands in the string, and what it weighs."""

    name: str
    start: int
    parent: Element | None
    hints: frozenset[str] = frozenset()
    href: str = ""
    end: int = 0
    words: int = 0
    linked: int = 0
    prose: int = 0
    children: list[Element] = field(default_factory=list)

    def within(self) -> Iterator[Element]:
        """All elements below this one, in order."""
        pending = list(reversed(self.children))
        while pending:
            element = pending.pop()
            yield element
            pending.extend(reversed(element.children))


def elements(html: str) -> Element:
    """The tree of a string of slim HTML with hints (`slim.slim`), weighed."""
    root = Element("body", 0, None, end=len(html))
    current = root
    links = 0
    position = 0
    run: list[tuple[Element, int, int]] = []  # (element, words, linked) of the text since the last block began or ended

    def close_run() -> None:
        if run:
            plain = sum(words - linked for _, words, linked in run)
            for element, words, linked in run:
                element.words += words
                element.linked += linked
                if plain >= _PROSE:
                    element.prose += words - linked
            run.clear()

    for match in _TAG.finditer(html):
        if match.start() > position:
            words = len(html[position : match.start()].split())
            if words:
                run.append((current, words, words if links else 0))
        position = match.end()
        closing, name, attributes = match.groups()
        if name in _VOID:
            continue
        if name not in _INLINE:
            close_run()
        if not closing:
            hints = _HINTS.search(attributes) if attributes else None
            element = Element(name, match.start(), current, frozenset(hints[1].split()) if hints else frozenset())
            if name == "a":
                element.href = attributes
                links += 1
            current.children.append(element)
            current = element
        elif current.name == name and current.parent is not None:
            current.end = match.end()
            links -= name == "a"
            current = current.parent
    close_run()
    while current.parent is not None:
        current.end = len(html)
        current = current.parent
    _add_up(root)
    return root


def _add_up(root: Element) -> None:
    for element in reversed(list(root.within())):
        if element.parent is not None:
            element.parent.words += element.words
            element.parent.linked += element.linked
            element.parent.prose += element.prose


# What is never part of the terms, wherever it stands …
_CONSENT = re.compile(
    r"consent|gdpr|onetrust|optanon|didomi|cookiebot|cybot|usercentrics|cookieyes|cky|truste|trustarc|axeptio|tarteaucitron|qc-cmp|cmplz|"
    r"iubenda|osano|termly|klaro|borlabs|cookie.*"
)
# … and what frames a page. Only the names of elements and the words of designers, in any of their spellings.
_FRAME_NAMES = frozenset(
    ("nav", "footer", "aside", "form", "button", "dialog", "select", "option", "textarea", "search", "noscript")
)
_FRAME_HINTS = re.compile(
    r"nav.*|menu|breadcrumbs?|foot(?:er)?|banner|side.*|share|social|newsletter|subscri|related|modal|popup|dialog|overlay|search|skip|"
    r"login|sign.*|feedback|helpful|vote|comments?|complementary|contentinfo|lang.*|pagination|pager|rating|promo|advert|tooltip|toast|app-?store"
)
_KEPT_WHOLE = frozenset(
    ("h1", "h2", "h3", "h4", "h5", "h6", "p", "li", "td", "th", "tr", "tbody", "thead", "dt", "dd", *_INLINE)
)
_FRAME_SHARE = 0.25  # of the prose: a frame that holds more is no frame, whatever it is called
_CONSENT_SHARE = 0.75
_NEARLY_ALL = 0.9
_REPEATED = 40  # words
_ASIDE_PROSE = 30  # words that a notice inside the text may have


def main_html(html: str) -> str:
    """The part of a page's slim HTML (with hints) that holds its terms; empty when there is no prose at all."""
    root = elements(html)
    consent = _outermost(root, _telling(root, _CONSENT, _CONSENT_SHARE), frozenset(), _CONSENT_SHARE * root.prose)
    lost = _lost(consent)
    prose = root.prose - lost.get(id(root), 0)
    hints = _telling(root, _FRAME_HINTS, _FRAME_SHARE)
    frame = _outermost(root, hints, _FRAME_NAMES, _FRAME_SHARE * prose)
    main = _smallest(root, _lost([*consent, *frame]))
    main = _with_title(main)
    if not main.words:
        return ""
    inside = [each for each in frame if _is_notice(each)]
    return _SKIP_LINK.sub(r"\1", _without(html, main, [*consent, *inside, *_repeated(html, main)]))


# "Skip to the content", in any language: a link into the page before all its text.
_SKIP_LINK = re.compile(r'^((?:\s|<(?!a\b)[^>]*>)*)<a href="#[^"]*">[^<]{1,60}</a>')


def _repeated(html: str, main: Element) -> list[Element]:
    """What stands on the page three times and more (tabs drawn once for each panel), but for the first time."""
    alike: dict[tuple[int, int, int], list[Element]] = {}
    for element in main.within():
        if element.words >= _REPEATED and element.name not in _KEPT_WHOLE:
            alike.setdefault((element.words, element.linked, element.prose), []).append(element)
    found: list[Element] = []
    for group in alike.values():
        if len(group) < 3:
            continue
        texts: dict[str, list[Element]] = {}
        for element in group:
            texts.setdefault(" ".join(_TAG.sub(" ", html[element.start : element.end]).split()), []).append(element)
        for same in texts.values():
            apart = [
                element for number, element in enumerate(same) if not number or element.start >= same[number - 1].end
            ]
            found.extend(apart[1:] if len(apart) > 2 else ())
    return found


def _telling(root: Element, pattern: re.Pattern[str], most: float) -> frozenset[str]:
    """The hints on this page that match `pattern` and tell something: one that marks half of the text does not."""
    prose: dict[str, int] = {}
    pending: list[tuple[Element, frozenset[str]]] = [(root, frozenset())]
    while pending:
        element, above = pending.pop()
        for hint in element.hints - above:
            prose[hint] = prose.get(hint, 0) + element.prose
        below = above | element.hints
        pending.extend((child, below) for child in element.children)
    return frozenset(hint for hint, found in prose.items() if found <= most * root.prose and pattern.fullmatch(hint))


def _outermost(root: Element, hints: frozenset[str], names: frozenset[str], most_prose: float) -> list[Element]:
    """The elements of those names and hints, and not those inside them, that hold no more than `most_prose`."""
    found = []
    pending = [root]
    while pending:
        element = pending.pop()
        named = element.name in names or (element.name not in _KEPT_WHOLE and not hints.isdisjoint(element.hints))
        if named and element.prose <= most_prose and "main" not in element.hints and element.name != "main":
            found.append(element)
        else:
            pending.extend(element.children)
    return found


def _lost(gone: list[Element]) -> dict[int, int]:
    """How much prose each element loses by what is cut out of it."""
    lost: dict[int, int] = {}
    for element in gone:
        above: Element | None = element
        while above is not None:
            lost[id(above)] = lost.get(id(above), 0) + element.prose
            above = above.parent
    return lost


def _smallest(root: Element, lost: dict[int, int]) -> Element:
    """The smallest container that holds nearly all prose that is left."""

    def prose(element: Element) -> int:
        return element.prose - lost.get(id(element), 0)

    current = root
    while True:
        best = max(current.children, key=prose, default=None)
        if best is None or best.name in _KEPT_WHOLE or best.name in ("ul", "ol", "dl", "table"):
            return current
        if prose(best) < _NEARLY_ALL * prose(current):
            return current
        current = best


def _with_title(main: Element) -> Element:
    """`main`, or the element around it that also holds the heading of the page and hardly anything else."""
    if any(inner.name == "h1" for inner in main.within()):
        return main
    around = main.parent
    while around is not None and around.parent is not None:
        added = around.words - main.words
        if added > max(40, main.words * 0.1):
            return main
        if any(inner.name == "h1" for inner in around.within()):
            return around
        around = around.parent
    return main


def _is_notice(element: Element) -> bool:
    """Whether what looks like a part of the frame is one even inside the text: links, or a few words.

    A section of the terms may be called "advertising" or "feedback": it has a heading, and nothing to press.
    """
    if element.linked > element.words / 2:
        return True
    if element.name not in _FRAME_NAMES:
        names = {inner.name for inner in element.within()}
        if not names.isdisjoint(("h2", "h3", "h4", "h5", "h6")) and names.isdisjoint(("form", "button", "select")):
            return False
    return element.prose < _ASIDE_PROSE


def _without(html: str, main: Element, gone: list[Element]) -> str:
    parts = []
    position = main.start if main.parent is not None else 0
    for element in sorted(gone, key=lambda each: each.start):
        if element.start < position or element.end > main.end:
            continue
        parts.append(html[position : element.start])
        position = element.end
    parts.append(html[position : main.end])
    return " ".join(parts)
