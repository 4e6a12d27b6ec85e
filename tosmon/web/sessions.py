"""Who may act: a session that the operator's token opens, and the proof that a form is one of ours.

Nothing is stored: a session is a signed end time in a cookie that no script can read and no other site can send, and a
form's proof is signed from the session. Both are made from the token, so that a new token ends every session.
"""

from __future__ import annotations

import hmac
import secrets
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from threading import Lock

LASTS = timedelta(hours=12)
_MOST_FAILURES, _WITHIN = 10, timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Session:
    """A session as its cookie says it, and what our own forms carry."""

    cookie: str = field(repr=False)
    proof: str = field(repr=False)
    until: datetime


class Sessions:
    def __init__(self, token: str) -> None:
        self._token = token.encode()
        self._key = sha256(b"tosmon operator session\0" + self._token).digest()
        self._failures: deque[datetime] = deque(maxlen=_MOST_FAILURES)
        self._lock = Lock()

    def open(self, token: str, now: datetime) -> Session | None:
        """A new session for whoever knows the token; takes as long for a wrong one."""
        known = hmac.compare_digest(sha256(token.encode("utf-8", "replace")).digest(), sha256(self._token).digest())
        if not known:
            with self._lock:
                self._failures.append(now)
            return None
        said = f"{int((now + LASTS).timestamp())}.{secrets.token_urlsafe(18)}"
        return self._session(f"{said}.{self._signed('session', said)}", now + LASTS)

    def is_closed(self, now: datetime) -> bool:
        """Whether so many wrong tokens came lately that no further one is looked at."""
        with self._lock:
            return len(self._failures) == _MOST_FAILURES and now - self._failures[0] < _WITHIN

    def read(self, cookie: str | None, now: datetime) -> Session | None:
        """The session of a cookie; `None` for one that is forged, over, or of another token."""
        if not cookie or len(cookie) > 200 or not cookie.isascii():
            return None
        said, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(signature, self._signed("session", said)):
            return None
        until = datetime.fromtimestamp(int(said.partition(".")[0]), now.tzinfo)
        return self._session(cookie, until) if now < until else None

    def _session(self, cookie: str, until: datetime) -> Session:
        return Session(cookie, self._signed("form", cookie), until)

    def _signed(self, use: str, said: str) -> str:
        return hmac.new(self._key, f"{use}\0{said}".encode(), sha256).hexdigest()
