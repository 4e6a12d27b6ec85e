"""HTML without what is never read: the one string that is both digested and converted.

Works on the words of the tags alone, on HTML as the parser writes it, since a Python object for each element would cost
more than everything else. Two forms: bare, with what the converter to Markdown reads; and with hints, in which
blocks keep their names and what their classes say of their purpose, for finding the main text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

# As the parser writes HTML: attribute values always in double quotes, `<` always escaped in text.
_TAG = re.compile(r'<!--.*?-->|<[^>"]*(?:"[^"]*"[^>"]*)*>', re.DOTALL)
_NAME = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)")
_ATTRIBUTE = re.compile(r'\s([^\s=>"]+)="([^"]*)"')
_KEPT_TAGS_NAMES = (
    "a b strong em i sup sub br wbr del s strike q ol ul li dl dt dd table caption thead tbody tfoot tr td th "
    "pre h1 h2 h3 h4 h5 h6 blockquote details summary p div"
)
_KEPT_TAGS = frozenset(_KEPT_TAGS_NAMES.split())
_BLOCKS_NAMES = (
    "address article aside body button center dialog dir fieldset figcaption figure footer form header hgroup "
    "hr html legend main menu nav noscript option output section select textarea optgroup search"
)
_BLOCKS = frozenset(_BLOCKS_NAMES.split())
_KEPT_ATTRIBUTES = {
    "a": ("href",),
    "img": ("alt", "src"),
    "ol": ("start", "type", "reversed", "style"),
    "li": ("value", "type", "style"),
    "td": ("colspan", "rowspan"),
    "th": ("colspan", "rowspan"),
}
_LIST_STYLE = re.compile(r"list-style(?:-type)?\s*:\s*([a-z-]+)")


def slim(html: str, *, hints: bool = False) -> str:
    """`html` without what is never read: most attributes, comments, and inline elements that mean nothing here.

    With `hints`, blocks keep their names and, in an attribute `k`, what their class, id and role say of their purpose:
    this is what finding the main text reads.
    """
    slim_tag, cached = (_hinted_tag, _hinted_tag_cached) if hints else (_slim_tag, _slim_tag_cached)

    def replaced(match: re.Match[str]) -> str:
        tag = match[0]
        return cached(tag) if len(tag) < _CACHED_TAG else slim_tag(tag)

    return _TAG.sub(replaced, html).strip()


def _slim_tag(tag: str) -> str:
    match = _NAME.match(tag)
    if match is None:
        return ""
    closing, name = match.groups()
    name = name.lower()
    if name == "img":
        return _slim_image(tag)
    if name not in _KEPT_TAGS:
        if name not in _BLOCKS:
            return ""
        heading = "" if closing else _heading_role(tag)
        return f"<{closing}div{heading}>"
    if closing:
        return f"</{name}>"
    wanted = _KEPT_ATTRIBUTES.get(name)
    if wanted is None:
        return f"<{name}{_heading_role(tag)}>" if name in ("div", "p") else f"<{name}>"
    return f"<{name}{''.join(_attributes(tag, wanted))}>"


# What an element's role, class and id say of its purpose, in the words that designers use for it.
_HINTS = re.compile(
    r"nav(?:igation|bar|menu)?(?![a-z])|menu|breadcrumbs?|foot(?:er)?(?![a-z])|banner|sidebar|sidenav|toc(?![a-z])|table[-_]?of[-_]?contents?|"
    r"share|social|newsletter|subscri|related|modal|popup|dialog|overlay|search|skip|login|sign-?in(?![a-z])|sign-?up(?![a-z])|feedback|helpful|"
    r"vote|comments?(?![a-z])|complementary|contentinfo|lang(?:uage)?s?[-_]?(?:select|switch|pick|menu|list)|pagination|pager|rating|promo|advert|"
    r"tooltip|toast|app-?store|main(?![a-z])|consent|gdpr|onetrust|optanon|didomi|cookiebot|cybot|usercentrics|cookieyes|cky(?=-)|truste|trustarc|"
    r"axeptio|tarteaucitron|qc-cmp|cmplz|iubenda|osano|termly|klaro|borlabs|cookie[-_]?(?:banner|notice|bar|popup|modal|law|settings|preference|box|message|info|disclaimer|manager|alert|overlay)"
)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_PURPOSE = re.compile(r'\s(?:class|id|role|aria-label)="([^"]{0,400})')
_HIDDEN = re.compile(r'\s(?:hidden="[^"]*"|hidden(?=[\s>])|aria-hidden="true"|style="[^"]*display:\s*none)')


def _hinted_tag(tag: str) -> str:
    match = _NAME.match(tag)
    if match is None:
        return ""
    closing, name = match.groups()
    name = name.lower()
    if closing or (name in _KEPT_ATTRIBUTES and name not in ("ol", "li")):
        return f"</{name}>" if closing and (name in _KEPT_TAGS or name in _BLOCKS) else _slim_tag(tag)
    if name not in _KEPT_TAGS and name not in _BLOCKS:
        return ""
    found = {hint for value in _PURPOSE.findall(tag) for hint in _HINTS.findall(_CAMEL.sub("-", value).lower())}
    if _HIDDEN.search(tag):
        found.add("hidden")
    hints = f' k="{" ".join(sorted(found))}"' if found else ""
    if name in _KEPT_ATTRIBUTES:
        hints += "".join(_attributes(tag, _KEPT_ATTRIBUTES[name]))
    return f"<{name}{_heading_role(tag)}{hints}>"


def _attributes(tag: str, wanted: tuple[str, ...]) -> Iterable[str]:
    for name, value in _ATTRIBUTE.findall(tag):
        if name not in wanted:
            continue
        if name == "style":
            style = _LIST_STYLE.search(value.lower())
            if style:
                yield f' style="list-style:{style[1]}"'
        else:
            yield f' {name}="{value}"'


def _heading_role(tag: str) -> str:
    if 'role="heading"' not in tag:
        return ""
    level = re.search(r'\saria-level="([1-6])"', tag)
    return f' role="heading" aria-level="{level[1] if level else 2}"'


def _slim_image(tag: str) -> str:
    attributes = dict(_ATTRIBUTE.findall(tag))
    alt = attributes.get("alt", "")
    if not re.search(r"\w", alt):
        return ""
    source = attributes.get("src", "").strip()
    return f'<img alt="{alt}" src="{"" if source.startswith("data:") else source}">'


# Pages of one site repeat their tags, and so does a page from look to look. Long ones (inline data) are not kept.
_CACHED_TAG = 300  # characters
_slim_tag_cached = lru_cache(maxsize=8192)(_slim_tag)
_hinted_tag_cached = lru_cache(maxsize=16384)(_hinted_tag)


def words_of(html: str) -> int:
    """About how many words a slim string of HTML holds."""
    return len(_TAG.sub(" ", html).split())
