"""One request at a time to a host, and a pause between two."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

_REMEMBERED = 512


@dataclass(slots=True)
class _Host:
    free_at: float = float("-inf")
    using: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Turns:
    """Hands out turns at hosts; a thread that wants one waits for it. A host long left alone is forgotten."""

    def __init__(self, pause: timedelta, monotonic: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._pause = pause.total_seconds()
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()
        self._hosts: dict[str, _Host] = {}

    def __len__(self) -> int:
        """How many hosts are remembered."""
        return len(self._hosts)

    @contextmanager
    def turn(self, host: str) -> Iterator[None]:
        with self._lock:
            place = self._hosts.setdefault(host, _Host())
            place.using += 1
        try:
            with place.lock:
                wait = place.free_at - self._monotonic()
                if wait > 0:
                    self._sleep(wait)
                try:
                    yield
                finally:
                    place.free_at = self._monotonic() + self._pause
        finally:
            with self._lock:
                place.using -= 1
                if len(self._hosts) > _REMEMBERED:
                    self._forget()

    def _forget(self) -> None:
        now = self._monotonic()
        self._hosts = {host: place for host, place in self._hosts.items() if place.using or place.free_at > now}
