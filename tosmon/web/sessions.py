"""Who may act: a session that the operator's token opens, and the proof that a form is one of ours.

A session is a signed end time in a cookie that no script can read and no other site can send, and a form's proof is signed
from the session. Both are made from the token, so that a new token ends every session; so does logging out, for a cookie
carries how often sessions were ended, and the archive knows how often that was.
"""

from __future__ import annotations

import hmac
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from ipaddress import IPv6Address, ip_address
from threading import Lock

LASTS = timedelta(hours=12)
_WITHIN = timedelta(minutes=5)
_MOST_FAILURES = 10  # from one network, so that no stranger locks the operator out
_MOST_OF_ALL = 500  # a token of 16 letters is safe from as many guesses for longer than anybody lives


@dataclass(frozen=True, slots=True)
class Session:
    """A session as its cookie says it, and what our own forms carry."""

    cookie: str = field(repr=False)
    proof: str = field(repr=False)
    until: datetime


class Sessions:
    """Sessions of one token. `ended` tells how often all sessions were ended."""

    def __init__(self, token: str, ended: Callable[[], int]) -> None:
        self._token = token.encode()
        self._ended = ended
        self._key = sha256(b"tosmon operator session\0" + self._token).digest()
        self._failures: deque[tuple[datetime, str]] = deque(maxlen=_MOST_OF_ALL)
        self._lock = Lock()

    def open(self, token: str, now: datetime, network: str) -> Session | None:
        """A new session for whoever knows the token; takes as long for a wrong one."""
        known = hmac.compare_digest(sha256(token.encode("utf-8", "replace")).digest(), sha256(self._token).digest())
        if not known:
            with self._lock:
                self._failures.append((now, network))
            return None
        said = f"{int((now + LASTS).timestamp())}.{self._ended()}.{secrets.token_urlsafe(18)}"
        return self._session(f"{said}.{self._signed('session', said)}", now + LASTS)

    def is_closed(self, now: datetime, network: str) -> bool:
        """Whether so many wrong tokens came lately, from this network or from all, that no further one is looked at."""
        with self._lock:
            lately = [where for at, where in self._failures if now - at < _WITHIN]
        return lately.count(network) >= _MOST_FAILURES or len(lately) == _MOST_OF_ALL

    def read(self, cookie: str | None, now: datetime) -> Session | None:
        """The session of a cookie; `None` for one that is forged, over, or of another token."""
        if not cookie or len(cookie) > 200 or not cookie.isascii():
            return None
        said, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(signature, self._signed("session", said)):
            return None
        ends, ended, _ = said.split(".", 2)
        until = datetime.fromtimestamp(int(ends), now.tzinfo)
        return self._session(cookie, until) if now < until and int(ended) == self._ended() else None

    def _session(self, cookie: str, until: datetime) -> Session:
        return Session(cookie, self._signed("form", cookie), until)

    def _signed(self, use: str, said: str) -> str:
        return hmac.new(self._key, f"{use}\0{said}".encode(), sha256).hexdigest()


def network_of(host: str) -> str:
    """The network that a client asks from, as far as one household or office goes: /24, or /56 of IPv6.

    What is no address (a proxy may pass on any word) is one network, lest each word be one of its own.
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return address.exploded[:17]
        address = address.ipv4_mapped
    return str(address).rpartition(".")[0]
