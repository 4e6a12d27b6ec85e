"""Remember where a browser was of no use: a challenge refuses it too, and costs it many seconds at each look.

Kept in memory alone, by address: after a restart the browser gets one more try, which is what a restart is good for.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta
from threading import Lock

_FIRST = timedelta(hours=3).total_seconds()
_LONGEST = timedelta(days=1).total_seconds()
_REMEMBERED = 10_000


class Vain:
    """Addresses that gave nothing to the browser either, each with the time until which it is not asked again."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = Lock()
        self._until: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def is_known(self, url: str) -> bool:
        """Whether to leave the browser out for now."""
        with self._lock:
            until, _ = self._until.get(url, (float("-inf"), 0.0))
        return self._monotonic() < until

    def note(self, url: str) -> None:
        """It was in vain: three hours without a browser, and twice as long each time, up to a day."""
        with self._lock:
            _, wait = self._until.pop(url, (0.0, _FIRST / 2))
            wait = min(2 * wait, _LONGEST)
            self._until[url] = (self._monotonic() + wait, wait)
            while len(self._until) > _REMEMBERED:
                self._until.popitem(last=False)

    def forget(self, url: str) -> None:
        """It was of use."""
        with self._lock:
            self._until.pop(url, None)
