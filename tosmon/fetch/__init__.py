"""Fetch what terms are made of, as a guest should: by robots.txt, one request at a time, with a pause.

Says what came back and nothing of what it is worth: see `tosmon.gates`. Knows nothing of the archive; what was
learnt from servers earlier (validators) comes in as an argument.
"""

from __future__ import annotations

from tosmon.fetch.fetcher import Fetched, Fetcher

__all__ = ["Fetched", "Fetcher"]
