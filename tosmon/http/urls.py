"""Read a URL strictly, once: what is checked, asked, kept to by robots.txt and shown must be the same thing.

`http://inside\\@outside/` is `inside` to one parser and `outside` to the next; such addresses are refused, not guessed.
"""

from __future__ import annotations

import functools
import re
from urllib.parse import SplitResult, urlsplit

import requests

from tosmon.errors import FetchError, FetchProblem

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_AUTHORITY = re.compile(r"[Hh][Tt][Tt][Pp][Ss]?://([^/?#]*)")
_TRAP = re.compile(r"[\x00-\x20\x7f\\@]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PORTS = {"http": 80, "https": 443}


@functools.lru_cache(maxsize=4096)
def normal(url: str) -> tuple[str, SplitResult]:
    """The URL as it is asked for (host in lower-case ASCII, all else quoted, no fragment), and its parts.

    Raises FetchError for anything but http and https with a plain host.
    """
    url = url.strip()
    scheme = _SCHEME.match(url)
    if scheme is None or scheme[1].lower() not in _PORTS:
        raise _refused(url, f"only http and https can be fetched, not {scheme[1] if scheme else 'this'}")
    authority = _AUTHORITY.match(url)
    if authority is None or not authority[1] or _TRAP.search(authority[1]) or _CONTROL.search(url):
        raise _refused(url, "not a plain address (a host name without user, backslash or control characters)")
    prepared = requests.PreparedRequest()
    try:
        prepared.prepare_url(url, None)
        parts = urlsplit(prepared.url or "")._replace(fragment="")
        parts = parts._replace(netloc=parts.netloc.lower())
        if not parts.hostname or parts.port == 0:
            raise ValueError("no host")
    except (ValueError, requests.RequestException) as error:
        raise _refused(url, f"not an address ({error})") from error
    return parts.geturl(), parts


def host_of(url: str) -> str:
    """Whom a request to this URL goes to: `host` or `host:port`, in lower case."""
    return normal(url)[1].netloc


def port_of(parts: SplitResult) -> int:
    return parts.port or _PORTS[parts.scheme]


def _refused(url: str, message: str) -> FetchError:
    return FetchError(_CONTROL.sub("�", url), message, FetchProblem.SCHEME, transient=False)
