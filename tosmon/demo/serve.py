"""Serve the demo's archive in the browser until interrupted."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from tosmon.run import Works

PORT = 8766


@contextmanager
def listening(port: int | None) -> Iterator[socket.socket]:
    """A socket that listens on a port of 127.0.0.1, or on a free one when that is taken."""
    try:
        bound = socket.create_server(("127.0.0.1", PORT if port is None else port), backlog=128)
    except OSError:
        bound = socket.create_server(("127.0.0.1", 0), backlog=128)
    with bound:
        yield bound


def serve_archive(works: Works, snapshots: Path, clock: Callable[[], datetime], bound: socket.socket) -> None:
    """Serve until Ctrl-C or SIGTERM. The story's clock stands still, so "three days ago" stays true."""
    import uvicorn

    from tosmon.web import WebSettings, app

    settings = WebSettings(
        title=works.feeds.title,
        site_url=works.feeds.site_url,
        public=works.public,
        snapshots=snapshots,
        feeds=works.feeds,
        late_after=timedelta(days=1),
    )
    application = app(works.world.archive, settings, clock)
    config = uvicorn.Config(application, log_config=None, access_log=False, timeout_graceful_shutdown=3)
    try:
        uvicorn.Server(config).run(sockets=[bound])
    except KeyboardInterrupt:  # uvicorn has closed everything in order, and then passes the signal on
        pass
