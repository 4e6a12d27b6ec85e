"""The archive as files: the same pages for any static host, or for a folder that is opened in a browser.

Each page is asked of the web application itself and its links are made relative; what needs a server (search, forms,
the API) is left out. Writing again writes what is new: a page whose sources stayed is not even rendered, and a file
whose bytes stayed is not touched. Only files of an earlier export are ever removed.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from html import escape, unescape
from importlib.resources import files
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from starlette.types import Message

from tosmon import __version__
from tosmon.archive import Archive, TermsRow
from tosmon.errors import TosmonError
from tosmon.model import Alert, ChangeState
from tosmon.publish import OPML_FILE, Feed, FeedFormat, feed_file, links, write, write_opml
from tosmon.publish.files import put
from tosmon.web import app
from tosmon.web.evidence import evidence_of
from tosmon.web.feeds import all_feeds
from tosmon.web.settings import WebSettings
from tosmon.web.site import SHOWN, Site, static

MANIFEST = ".tosmon-site.json"
_SAVED_EVERY = 2000  # pages: an export that is stopped goes on where it was


@dataclass(frozen=True, slots=True)
class Export:
    """What came of an export: how many pages there are, and how many files were written and removed this time."""

    pages: int
    written: int
    removed: int


@dataclass(frozen=True, slots=True)
class _Manifest:
    """The files of an earlier export with what each was made from, and how pages looked then."""

    look: str
    pages: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Page:
    """An address of the web and what its page is made from; `None` when it is rendered each time to be sure."""

    address: str
    sources: str | None = None


def export_site(
    archive: Archive,
    settings: WebSettings,
    folder: Path,
    now: datetime,
    *,
    evidence: bool = False,
    step: Callable[[int, int], None] = lambda done, total: None,
) -> Export:
    """Write the archive's pages and feeds into a folder that is empty or holds an earlier export. Raises TosmonError."""
    settings = replace(settings, static=True, operator=None, snapshots=settings.snapshots if evidence else None)
    exporter = _Exporter(archive, settings, folder, now)
    return exporter.export(evidence, step)


class _Exporter:
    def __init__(self, archive: Archive, settings: WebSettings, folder: Path, now: datetime) -> None:
        self._site = Site(archive, settings, lambda: now)
        self._app = app(archive, settings, lambda: now)
        self._folder = folder
        self._look = _look(settings)
        self._before = _manifest(folder)
        self._known: dict[str, str] = {}
        self._written = 0
        self._names: dict[str, str] = {}
        self._taken: set[str] = set()
        self._all_feeds = all_feeds(self._site) if settings.feeds is not None else ()
        self._feed_files = {feed_file(feed, format) for feed in self._all_feeds for format in FeedFormat}
        if self._all_feeds:
            self._feed_files.add(OPML_FILE)

    def export(self, evidence: bool, step: Callable[[int, int], None]) -> Export:
        earlier = dict(self._before.pages) if self._before.look == self._look else {}
        pages = list(_pages(self._site))
        listings = {page.address for page in pages if page.sources is None}
        addresses = {page.address for page in pages}
        with asyncio.Runner() as runner:
            done = 0
            while done < len(pages):
                page = pages[done]
                file = self._file(page.address)
                if page.sources is None or earlier.get(file) != page.sources or not (self._folder / file).is_file():
                    body = runner.run(self._asked(page.address))
                    if page.address in listings:  # a list may go on
                        for more in _further(page.address, body):
                            if more not in addresses:
                                addresses.add(more)
                                listings.add(more)
                                pages.append(_Page(more))
                    self._put(file, self._relative(body, file, addresses))
                self._known[file] = page.sources or ""
                done += 1
                step(done, len(pages))
                if done % _SAVED_EVERY == 0:
                    self._save({**earlier, **self._known})
        self._assets()
        self._feeds()
        if evidence:
            self._evidence()
        removed = self._remove_stale()
        self._save(self._known)
        return Export(len(pages), self._written, removed)

    # --- asking and writing ---------------------------------------------------------------------------------------

    async def _asked(self, address: str) -> str:
        """The page at an address of the web application, as it would be served."""
        path, _, query = address.partition("?")
        status, parts = 0, []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            parts.append(message.get("body", b""))

        scope = {
            "type": "http",
            "method": "GET",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(b"host", b"localhost")],
            "http_version": "1.1",
            "scheme": "http",
            "server": ("localhost", 80),
            "client": None,
            "root_path": "",
        }
        await self._app(scope, receive, send)
        if status != 200:
            raise TosmonError(f"export: the page {address} cannot be made (status {status}); see the log")
        return b"".join(parts).decode("utf-8", "surrogatepass")

    def _put(self, name: str, body: str | bytes) -> None:
        raw = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
        self._written += len(put({self._folder / name: raw}))

    def _save(self, pages: Mapping[str, str]) -> None:
        put({self._folder / MANIFEST: json.dumps({"look": self._look, "pages": pages}).encode()})

    def _remove_stale(self) -> int:
        removed = 0
        for name in self._before.pages:
            path = self._folder / name
            if name not in self._known and _is_inside(name) and path.is_file():
                path.unlink()
                removed += 1
        return removed

    # --- what is no page ------------------------------------------------------------------------------------------

    def _assets(self) -> None:
        for name, (body, _) in static().items():
            self._keep(f"static/{name}", body)

    def _keep(self, name: str, body: bytes) -> None:
        self._put(name, body)
        self._known[name] = ""

    def _feeds(self) -> None:
        """Feeds as they are published: in every format, with the addresses of `site_url`."""
        settings = self._site.settings.feeds
        if settings is None:
            return

        def alerts_of(feed: Feed) -> Sequence[Alert]:
            return self._site.browse.alerts(feed.path)

        self._written += len(write(self._folder, alerts_of, self._all_feeds, settings))
        self._written += len(write_opml(self._folder, self._all_feeds, settings))

    def _evidence(self) -> None:
        for version_id in self._versions():
            for number, one in enumerate(evidence_of(self._site, version_id), 1):
                if one.path is None:
                    continue
                name = f"versions/{version_id}/evidence/{number}.warc.gz"
                target = self._folder / name
                self._known[name] = ""
                if not target.is_file() or target.stat().st_size != one.bytes:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(one.path, target)
                    self._written += 1

    def _versions(self) -> Iterator[int]:
        for document in self._site.browse.documents():
            for mark in self._site.browse.version_marks(document.id):
                yield mark.id

    # --- names and links ------------------------------------------------------------------------------------------

    def _file(self, address: str) -> str:
        """The file of an address: a folder's index, so that the address itself leads there on a static host."""
        parsed = urlsplit(address)
        path = "/".join(self._name(unquote(part)) for part in parsed.path.strip("/").split("/") if part)
        query = "-".join(value if name == "view" else f"{name}-{value}" for name, value in parse_qsl(parsed.query))
        known = f"{path}/" if path else ""
        if parsed.path.endswith("/patch"):
            return f"{path}.diff"
        if parsed.path.endswith("/text"):
            return f"{path}.md"
        return f"{known}{self._name(query) if query else 'index'}.html"

    def _name(self, part: str) -> str:
        """A part of an address as the name of a file: itself, where every disk can have a file of that name.

        Two parts that differ in letter case alone are one name on some disks: the later one gets a mark. So does what
        is called like a file of ours, such as index.html: here it is a folder.
        """
        if part in self._names:
            return self._names[part]
        plain = re.fullmatch(r"[^\x00-\x1f/\\:*?\"<>|]{1,80}", part) and part.strip(" .") == part and part.isprintable()
        plain = plain and not part.lower().endswith((".html", ".diff", ".md"))
        mark = hashlib.sha256(part.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        name = (
            part if plain and part.lower() not in self._taken else f"{re.sub(r'[^A-Za-z0-9]+', '-', part)[:40]}-{mark}"
        )
        self._names[part] = name
        self._taken.add(name.lower())
        return name

    def _relative(self, body: str, file: str, addresses: set[str]) -> str:
        """The page with links to files; what is not among them is no link any more, and forms are gone."""
        up = "../" * (len(PurePosixPath(file).parts) - 1)

        def target(href: str) -> str | None:
            address, mark, fragment = unescape(href).partition("#")
            found = self._target(address, addresses)
            return escape(up + quote(found) + mark + fragment) if found is not None else None

        def link(found: re.Match[str]) -> str:
            to = target(found["href"])
            return f"{found['before']}{to}{found['after']}{found['inner']}</a>" if to is not None else found["inner"]

        def attribute(found: re.Match[str]) -> str:
            to = target(found["href"])
            return f'{found["name"]}="{to}"' if to is not None else f'{found["name"]}="#"'

        body = _FORM.sub("", body)
        body = _LINK.sub(link, body)
        return _ATTRIBUTE.sub(attribute, body)

    def _target(self, address: str, addresses: set[str]) -> str | None:
        if address in addresses:
            return self._file(address)
        path = unquote(address.partition("?")[0])
        if path.startswith("/static/"):
            return f"static/{path.rpartition('/')[2]}"
        if path.lstrip("/") in self._feed_files:
            return path.lstrip("/")
        if re.fullmatch(r"/versions/\d+/evidence/\d+\.warc\.gz", path):
            return path.lstrip("/")
        return None


# Our own markup, in which no text of strangers can look like a tag or end an attribute.
_FORM = re.compile(r"<form\b.*?</form>", re.DOTALL)
_LINK = re.compile(r'(?P<before><a\b[^>]*?\shref=")(?P<href>/[^"]*)(?P<after>"[^>]*>)(?P<inner>.*?)</a>', re.DOTALL)
_ATTRIBUTE = re.compile(r'(?P<name>href|src)="(?P<href>/(?!/)[^"]*)"(?=[^<]*>)')
_FURTHER = re.compile(r'<a\b[^>]*?\shref="(?P<href>[^"#]*)[^"]*"[^>]*\srel="next"')


def _further(address: str, body: str) -> Iterator[str]:
    """Where a list goes on."""
    path = address.partition("?")[0]
    for found in _FURTHER.finditer(body):
        href = unescape(found["href"])
        if href.startswith(path + "?") or (path == "/" and href.startswith("/?")):
            yield href


# --- which pages there are ------------------------------------------------------------------------------------------


def _pages(site: Site) -> Iterable[_Page]:
    yield from (_Page(address) for address in ("/", "/services", "/incidents", "/feeds", "/profiles", "/found-later"))
    documents = site.browse.documents()
    for service in dict.fromkeys(document.key.service for document in documents):
        yield _Page(links.service_path(service))
        yield _Page(links.profile_path(service))
    alerts = site.browse.last_alerts()
    for document in documents:
        yield from _pages_of(site, document, alerts)


def _pages_of(site: Site, document: TermsRow, alerts: Mapping[int, int]) -> Iterator[_Page]:
    path = links.document_path(document.key)
    yield _Page(path)
    marks = site.browse.change_marks(document.id)
    if any(mark.state not in SHOWN for mark in marks):
        yield _Page(f"{path}?all=1")
    for mark in marks:
        sources = _digest(mark.state, mark.severity, mark.headline, alerts.get(mark.id), mark.directions)
        address = links.change_path(mark.id)
        yield from (_Page(f"{address}{more}", sources) for more in ("", "?view=side", "/patch"))
    versions = site.browse.version_marks(document.id)
    brought = {mark.after_id: mark.id for mark in marks if mark.state is not ChangeState.GONE}
    before = ""
    for number, version in enumerate(versions):
        # A version's page tells of the changes before it, and of the version after it.
        before = _digest(before, version.id, brought.get(version.id))
        following = versions[number + 1].id if number + 1 < len(versions) else None
        address = links.version_path(version.id)
        yield _Page(address, _digest(before, following, document.service_name))
        yield _Page(f"{address}/text", "as stored")


def _digest(*sources: object) -> str:
    return hashlib.sha256(repr(sources).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _look(settings: WebSettings) -> str:
    """What every page is made with: another look means that all are made anew."""
    templates = files("tosmon.web") / "templates"
    written = sorted((one.name, one.read_text(encoding="utf-8")) for one in templates.iterdir() if one.is_file())
    return _digest(__version__, written, static(), settings.title, settings.site_url, settings.snapshots is not None)


def _manifest(folder: Path) -> _Manifest:
    """What an earlier export left in the folder. Raises TosmonError for a folder with anything else in it."""
    if folder.exists() and not folder.is_dir():
        raise TosmonError(f"export: {folder} is a file; name a folder")
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        if folder.is_dir() and any(folder.iterdir()):
            raise TosmonError(
                f"export: {folder} holds other things; name an empty folder or an earlier export"
            ) from None
        return _Manifest("", {})
    except (OSError, ValueError) as error:
        raise TosmonError(
            f"export: {folder / MANIFEST} cannot be read ({error}); take it away to begin anew"
        ) from error
    pages = found.get("pages") if isinstance(found, dict) else None
    return _Manifest(str(found.get("look")), pages) if isinstance(pages, dict) else _Manifest("", {})


def _is_inside(name: str) -> bool:
    """Whether a name of the manifest stays in its folder, whoever wrote it."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts
