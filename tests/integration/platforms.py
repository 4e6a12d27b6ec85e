"""A small web site of invented platforms on loopback, whose terms a test can change."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SECTIONS = {
    "Who we are": "Inkwell Studio is a place where people draw comics together. These terms are a contract between "
    "you and Inkwell Studio Ltd, and they apply whenever you open our site, our apps or our mail.",
    "Your account": "You must be thirteen years old to open an account. Keep your password to yourself, tell us at once "
    "when somebody else uses it, and do not open a second account after we closed the first one.",
    "Your drawings": "You own the drawings that you upload. You give us permission to show them on our site and in our "
    "apps for as long as you leave them there. We will never use your drawings to train machine learning models.",
    "What you may not do": "Do not upload drawings of other people as your own, do not harass anybody, do not send "
    "advertisements, and do not try to get into parts of our computers that are not meant for you.",
    "Payments": "A membership costs six euros a month. It renews by itself until you cancel it in your settings, and we "
    "pay back what you paid in the last fourteen days when you ask for it in that time.",
    "Ending": "You can close your account at any time. We can close it when you break these terms, after a warning by "
    "mail that says what was wrong, and we delete your drawings thirty days later.",
    "Liability": "We do what we can to keep the site running, but we do not promise that it always works. We answer for "
    "damage that we cause on purpose or by gross negligence, and for nothing beyond what the law asks of us.",
    "Changes": "When we change these terms we write to you thirty days before. If you do not agree you can close your "
    "account before that day, and if you stay the new terms apply from then on.",
}
TRAINS = (
    "You own the drawings that you upload. You grant us a licence to use them, and we may use your drawings to train "
    "machine learning models."
)


def page(title: str = "Terms of Service", **changed: str) -> str:
    """The terms as HTML; `Your_drawings="…"` puts another text under that heading."""
    texts = SECTIONS | {name.replace("_", " "): text for name, text in changed.items()}
    body = "".join(f"<h2>{name}</h2><p>{text}</p>" for name, text in texts.items())
    return (
        f"<!DOCTYPE html><html lang=en><head><title>{title} | Inkwell</title></head><body><nav><a href=/>Home</a></nav>"
        f"<main><h1>{title}</h1>{body}</main><footer>Inkwell Studio Ltd</footer></body></html>"
    )


class Site:
    """What is served under each path, how often each was asked for, and a gate that can hold answers back."""

    def __init__(self) -> None:
        self.pages: dict[str, str | int] = {}
        self.asked: list[str] = []
        self.open = threading.Event()
        self.open.set()
        self.waiting = threading.Event()
        self.url = ""

    def count(self, path: str) -> int:
        return self.asked.count(path)


@contextmanager
def serving() -> Iterator[Site]:
    """A site on a free port of 127.0.0.1; a path that holds a number answers with that status."""
    site = Site()

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            site.asked.append(self.path)
            site.waiting.set()
            site.open.wait(30)
            found = site.pages.get(self.path, 404)
            status, text = (200, found) if isinstance(found, str) else (found, f"<title>{found}</title><p>Sorry.")
            body = text.encode("utf-8", "surrogatepass")
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield site
    finally:
        site.open.set()
        server.shutdown()
        thread.join()
        server.server_close()


def configuration(folder: Path, site: Site, paths: dict[str, list[str]], extra: str = "") -> Path:
    """Write a configuration that tracks these types of these services on the site, told at first sight."""
    lines = ["services:"]
    for service, kinds in paths.items():
        lines += [f"  - key: {service}", "    terms:"]
        for kind in kinds:
            path = f"/{service}/{kind.split()[0].lower()}"
            lines += [f"      - type: {kind}", f"        url: {site.url}{path}", "        select: main"]
            site.pages.setdefault(path, page(kind))
    lines += [
        "politeness: {allow_private_addresses: true, pause: 0s, robots: false}",
        "schedule: {confirm_after: 0s, workers: 2}",
        "feeds: {authority: ink.example}",
        "web: {port: 0}",
        extra,
    ]
    file = folder / "config.yaml"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file
