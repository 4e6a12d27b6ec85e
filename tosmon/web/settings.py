"""What the web is told once, when it starts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from tosmon.publish import FeedSettings


@dataclass(frozen=True, slots=True)
class WebSettings:
    """How the archive presents itself.

    `site_url` is where readers find it: citations and feeds lead there. `public` is the folder with the feeds as files;
    a feed that is not there is written on the spot when `feeds` is given. `snapshots` is the folder of WARC files,
    without it there are no downloads. `late_after` is how long a document may wait for its look before `/health` warns.
    """

    title: str = "tosmon"
    site_url: str = "http://127.0.0.1:8765"
    public: Path | None = None
    snapshots: Path | None = None
    feeds: FeedSettings | None = None
    late_after: timedelta = timedelta(hours=2)
