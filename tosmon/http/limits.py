"""What a request may cost, and how we introduce ourselves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from tosmon import __version__


def user_agent(url: str | None = None, contact: str | None = None) -> str:
    """An honest name for platforms' logs: `tosmon/0.1.0 (+URL; contact)`.

    `url` is where people of the platform can see what is done with their pages (the public archive), `contact` whom
    to write to. Without either the name says at least what kind of program it is.
    """
    parts = [f"+{url}" if url else "monitor of published terms", *([contact] if contact else [])]
    return f"tosmon/{__version__} ({'; '.join(parts)})"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long, how large and how far one request may go. TLS is always verified: there is no setting for it.

    `total_timeout` covers everything from the first look-up to the last byte, redirects included; `max_bytes` counts
    after decompression. `allow_private_addresses` opens loopback and private networks: off on a server.
    """

    connect_timeout: timedelta = timedelta(seconds=10)
    read_timeout: timedelta = timedelta(seconds=30)
    total_timeout: timedelta = timedelta(minutes=2)
    max_bytes: int = 20_000_000
    max_redirects: int = 10
    user_agent: str = user_agent()
    allow_private_addresses: bool = False
