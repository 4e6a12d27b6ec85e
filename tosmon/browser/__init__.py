"""Read documents that only a browser can read, with an installed Chromium (extra `browser`).

One browser serves all threads, one document at a time, each in a context of its own. The browser opens no connection
itself: all of them go through a tunnel of ours (`tunnel`) over sockets that were checked, so that no redirect, script
or second DNS answer leads it into a private network. Knows nothing of politeness: see `tosmon.fetch`.
"""

from __future__ import annotations

from tosmon.browser.chromium import Browser
from tosmon.browser.executable import find_chromium

__all__ = ["Browser", "find_chromium"]
