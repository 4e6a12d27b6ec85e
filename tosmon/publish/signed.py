"""Links that only their owner has: a subscriber's handle with a signature, bound to what the link is for.

Nobody logs in; whoever holds the link that was mailed may do what it says and nothing else. A link for one purpose is
none for another, no address can be read from it, and none can be guessed (HMAC-SHA256 with the archive's own secret,
160 bits of it, compared in constant time). Knows no archive: whether that subscriber exists is asked elsewhere.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

_HANDLE, _NUMBER, _MAC = 12, 8, 20
_LENGTH = _HANDLE + 2 * _NUMBER + _MAC  # 48: Base64 without padding


class Purpose(StrEnum):
    CONFIRM = "confirm"
    CHOICES = "choices"
    LEAVE = "leave"
    MUTE = "mute"


@dataclass(frozen=True, slots=True)
class Claim:
    """What a genuine link says: whose it is, the number in it (of a letter, of a document), and whether it is too old."""

    handle: str
    number: int
    expired: bool


class Signer:
    """Makes links and knows its own again."""

    def __init__(self, secret: str) -> None:
        self._key = hmac.digest(secret.encode(), b"tosmon: links of subscribers", hashlib.sha256)

    def token(self, purpose: Purpose, handle: str, number: int = 0, until: datetime | None = None) -> str:
        """What stands in the link; letters, digits, `-` and `_` alone. Valid for ever without `until`."""
        last = 0 if until is None else int(until.timestamp())
        said = bytes.fromhex(handle) + number.to_bytes(_NUMBER) + last.to_bytes(_NUMBER)
        return urlsafe_b64encode(said + self._mac(purpose, said)).decode()

    def read(self, purpose: Purpose, token: str, now: datetime) -> Claim | None:
        """What that token of ours says; `None` for a forged or damaged one, or one for another purpose."""
        try:
            whole = urlsafe_b64decode(token.encode("ascii")) if len(token) == _LENGTH * 4 // 3 else b""
        except ValueError:  # not ASCII, or no Base64
            return None
        said, mac = whole[:-_MAC], whole[-_MAC:]
        # Base64 has several spellings of the same bytes; only ours counts.
        if urlsafe_b64encode(whole) != token.encode() or len(whole) != _LENGTH:
            return None
        if not hmac.compare_digest(mac, self._mac(purpose, said)):
            return None
        handle, rest = said[:_HANDLE], said[_HANDLE:]
        last = int.from_bytes(rest[_NUMBER:])
        return Claim(
            handle.hex(), int.from_bytes(rest[:_NUMBER]), bool(last) and now.astimezone(UTC).timestamp() > last
        )

    def mark(self, kind: str, text: str) -> str:
        """A keyed digest to count by, from which the text cannot be had back."""
        return f"{kind}:{self._mac(f'mark {kind}', text.encode('utf-8', 'surrogatepass')).hex()}"

    def _mac(self, purpose: str, said: bytes) -> bytes:
        return hmac.digest(self._key, purpose.encode() + b"\0" + said, hashlib.sha256)[:_MAC]
