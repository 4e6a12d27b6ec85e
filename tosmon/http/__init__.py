"""The one seam for HTTP: pages, robots.txt and hooks all leave tosmon through `Client`.

Addresses are checked where a socket is opened (`sockets`), so that no parser, redirect or second DNS answer can lead
to a place that was not checked. Knows nothing of politeness, robots.txt or terms: see `tosmon.fetch`.
"""

from __future__ import annotations

from tosmon.http.client import Client, EachHop, retry_after
from tosmon.http.limits import Limits, user_agent
from tosmon.http.urls import host_of

__all__ = ["Client", "EachHop", "Limits", "host_of", "retry_after", "user_agent"]
