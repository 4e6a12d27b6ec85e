"""A small web site on this machine, for platforms that exist nowhere else.

A real server with real sockets: what tosmon fetches from it went through the same code as any other page. Listens on
loopback only.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from tosmon.demo.pages import Page

_NOTHING_HERE = Page("<!doctype html><title>Not found</title><h1>404</h1><p>There is no such page.</p>", 404)


class Site:
    """Serves what `page_at(path)` gives, on a free port of 127.0.0.1, as a context manager."""

    def __init__(self, page_at: Callable[[str], Page | None]) -> None:
        class Answer(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_GET(self) -> None:
                page = page_at(self.path.partition("?")[0]) or _NOTHING_HERE
                body = page.body.encode()
                self.send_response(page.status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                # Whoever asks may be gone before the answer; that is no news on a terminal. A broken page is.
                if not isinstance(sys.exception(), ConnectionError):
                    super().handle_error(request, client_address)  # type: ignore[arg-type]

        self._server = Server(("127.0.0.1", 0), Answer)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="site", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
