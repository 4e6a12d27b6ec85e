"""Run the web application in a thread of its own, and stop everything in order when asked to."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType
from typing import TYPE_CHECKING

from tosmon.cli import INTERRUPTED
from tosmon.errors import TosmonError

if TYPE_CHECKING:
    from fastapi import FastAPI


@contextmanager
def served(app: FastAPI, host: str, port: int) -> Iterator[str]:
    """The application, served while the block lasts; yields its address. Raises TosmonError when the port is taken."""
    import uvicorn

    from tosmon.web.serving import settle

    settle()
    listening = _listening(host, port)
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="auto", timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="web", daemon=True)
    thread.start()
    shown = f"[{host}]" if ":" in host else host
    try:
        yield f"http://{shown}:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=15)
        listening.close()


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise TosmonError(f"cannot listen on {host}:{port}: {reason}; set another web.port or web.host") from error


@contextmanager
def stopping(what: str) -> Iterator[Event]:
    """An event that Ctrl-C and SIGTERM set; a second Ctrl-C does not wait for what is at hand."""
    stop = Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(
                INTERRUPTED
            )  # the archive is made to survive that; threads would be waited for by anything gentler
        stop.set()
        # Not by way of `say`: the signal may have come in the middle of a line that is being written.
        os.write(2, f"\nStopping: {what}. Once more to stop at once.\n".encode())

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
