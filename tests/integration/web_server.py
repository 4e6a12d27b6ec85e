"""The web of an archive behind a real socket, for tests that ask as a browser would."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from web_story import NOW, SETTINGS

from tosmon.archive import Archive
from tosmon.publish.signed import Signer
from tosmon.web import Subscribing, WebSettings, app


def web(archive: Archive, folder: Path) -> FastAPI:
    """The web as the story's time sees it."""
    settings = WebSettings(
        "Terms watch",
        SETTINGS.site_url,
        folder / "public",
        folder / "snapshots",
        SETTINGS,
        subscribing=Subscribing(Signer("a secret for tests")),
    )
    return app(archive, settings, lambda: NOW)


@contextmanager
def serving(application: FastAPI) -> Iterator[str]:
    """Serve it on a free port of this machine; gives its address."""
    # Named as TCP, or asyncio leaves Nagle on and every answer takes 40 ms.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(application, log_level="critical", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        # The socket listens before the server runs, so the first request waits in its queue and needs no sleep here.
        listening.listen(128)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()
