"""A mail server that keeps what it is given: each mail as a file that any mail program opens.

The demo sends its mails over real SMTP and must not reach anybody. The standard library has no SMTP server any more, and
one that never relays needs forty lines; a dependency of every installation for the demo's sake would cost more. Takes
one mail after the other from anyone on this machine; checks nothing.
"""

from __future__ import annotations

import socketserver
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

_LONGEST_LINE = 10_000


class Postbox:
    """Listens on a free port of 127.0.0.1, as a context manager; mails become 0001.eml and so on in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._count = len(list(folder.glob("*.eml")))
        postbox = self

        class Dialogue(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                postbox._talk(self)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Dialogue)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="postbox", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def mails(self) -> list[Path]:
        """The mails so far, in the order in which they came."""
        return sorted(self.folder.glob("*.eml"))

    def _talk(self, dialogue: socketserver.StreamRequestHandler) -> None:
        def say(text: str) -> None:
            dialogue.wfile.write(f"{text}\r\n".encode())

        say("220 postbox of the tosmon demo")
        while line := dialogue.rfile.readline(_LONGEST_LINE):
            verb = line.split(None, 1)[0].upper() if line.strip() else b""
            if verb == b"QUIT":
                say("221 goodbye")
                return
            if verb == b"DATA":
                say("354 go on, end with a dot")
                mail = _read_mail(dialogue)
                if mail is None:
                    return
                self._keep(mail)
                say("250 kept")
            elif verb in (b"HELO", b"EHLO", b"MAIL", b"RCPT", b"RSET", b"NOOP"):
                say("250 fine")
            else:
                say("500 what?")

    def _keep(self, mail: bytes) -> None:
        with self._lock:
            self._count += 1
            (self.folder / f"{self._count:04}.eml").write_bytes(mail)


def _read_mail(dialogue: socketserver.StreamRequestHandler) -> bytes | None:
    """All lines up to the one with a dot alone (RFC 5321, 4.5.2); `None` when the other side left before it."""
    lines: list[bytes] = []
    while line := dialogue.rfile.readline():
        if line in (b".\r\n", b".\n"):
            return b"".join(lines)
        lines.append(line[1:] if line.startswith(b".") else line)
    return None
