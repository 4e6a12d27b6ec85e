"""The whole of tosmon on invented platforms, in half a minute: sixteen weeks of changing terms, over real HTTP and mail.

Nothing in it is acted: the pages come from a web server on this machine, the real fetcher, archive, judge and delivery
do what they do every day, and only the clock is turned by hand. Whoever wants to see what tosmon does before trusting
it with a real platform starts here; the end-to-end tests do, too.
"""

from __future__ import annotations

from tosmon.demo.drive import DemoResult, Told, run
from tosmon.demo.pages import Page, Pages
from tosmon.demo.postbox import Postbox
from tosmon.demo.site import Site
from tosmon.demo.story import EVENTS, Event, Story, declared

__all__ = [
    "EVENTS",
    "DemoResult",
    "Event",
    "Page",
    "Pages",
    "Postbox",
    "Site",
    "Story",
    "Told",
    "declared",
    "run",
]
