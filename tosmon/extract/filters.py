"""Open Terms Archive's filters, ported by name.

Declarations name small JavaScript functions that mend a page before extraction. That code is never run; those that
occur in several collections are written anew here, for any page. Nearly all mend noise in links, so a filter that is
missing costs a cosmetic change, never words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from selectolax.lexbor import LexborHTMLParser

from tosmon.model import Filter

_TRACKING = re.compile(
    r"(?:utm|pk|mtm|hsa|matomo|_hs|oly|vero|ga|trk|wt)_\w+|[a-z]{0,3}clid|igshid|igsh|mc_[ce]id|_g[al]|s_?id|"
    r"(?:php|j|asp)?session_?id|sessid|ref_src|ref_url|__cft__.*|__tn__|__xts__.*|tracking_?id|track_?id|trackid|cid|eid|mkt_tok",
    re.IGNORECASE,
)
_WRAPPED = frozenset(("u", "url", "q", "target", "to", "redirect", "redirect_url", "destination", "dest", "link"))


def apply_filter(tree: LexborHTMLParser, filter_: Filter, base: str) -> None:
    """Apply a filter in place; one that nobody ported does nothing."""
    ported = FILTERS.get(filter_.name)
    if ported is not None:
        ported(tree, filter_.argument)


def remove_query_params(tree: LexborHTMLParser, names: Sequence[str]) -> None:
    """Take the named parameters out of all links and image addresses."""
    unwanted = frozenset(names)
    _rewrite(tree, lambda url: _without(url, lambda name: name in unwanted))


def remove_tracking(tree: LexborHTMLParser, names: Sequence[str]) -> None:
    """Take out the parameters that tell who clicked where: campaign, click, session and tracking identifiers."""
    _rewrite(tree, lambda url: _without(url, lambda name: _TRACKING.fullmatch(name) is not None))


def unwrap_redirects(tree: LexborHTMLParser, names: Sequence[str]) -> None:
    """Make links through a counting address ("/l.php?u=…") lead where they end, without tracking parameters."""
    _rewrite(tree, lambda url: _without(_unwrapped(url), lambda name: _TRACKING.fullmatch(name) is not None))


def remove_query_of_pdf(tree: LexborHTMLParser, names: Sequence[str]) -> None:
    """Take the whole query off links to PDF files."""
    _rewrite(tree, lambda url: url.partition("?")[0] if url.partition("?")[0].lower().endswith(".pdf") else url)


def already_done(tree: LexborHTMLParser, names: Sequence[str]) -> None:
    """For filters that mend what extraction does right by itself (obfuscated addresses, numbers of lists)."""


def _rewrite(tree: LexborHTMLParser, change: Callable[[str], str]) -> None:
    for attribute in ("href", "src"):
        for node in tree.css(f'[{attribute}*="?"]'):
            before = node.attributes.get(attribute) or ""
            after = change(before)
            if after != before:
                node.attrs[attribute] = after


def _without(url: str, unwanted: Callable[[str], bool]) -> str:
    """`url` without the parameters of those names; the others keep their order."""
    try:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return url
    kept = [(name, value) for name, value in pairs if not unwanted(name)]
    return url if len(kept) == len(pairs) else urlunsplit(parts._replace(query=urlencode(kept)))


def _unwrapped(url: str) -> str:
    try:
        pairs = parse_qsl(urlsplit(url).query)
    except ValueError:
        return url
    found = [value for name, value in pairs if name.lower() in _WRAPPED and value.startswith(("https://", "http://"))]
    return found[0] if len(found) == 1 else url


FILTERS: dict[str, Callable[[LexborHTMLParser, Sequence[str]], None]] = {
    "removeQueryParams": remove_query_params,
    "removeSIDfromUrls": remove_tracking,
    "removeGclidFromUrls": remove_tracking,
    "removeTrackingIDs": remove_tracking,
    "removeTrackingIds": remove_tracking,
    "removeTrackingIdsInUrls": remove_tracking,
    "removeUTMParams": remove_tracking,
    "removeUtmParams": remove_tracking,
    "cleanUrls": unwrap_redirects,
    "removePDFBlinkingQueryParam": remove_query_of_pdf,
    "unifyEmailProtectedAddresses": already_done,
    "numberListCorrectly": already_done,
}
