"""Live through the story: turn the clock from one due look to the next, and tell what happens while it happens.

Everything that looks, judges and sends is the product's own, wired as the command line wires it; here is only who turns
the clock, and what of it is said aloud.
"""

from __future__ import annotations

import json
import logging
import re
import shlex
import tempfile
import time
import webbrowser
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tosmon.archive import Archive, Snapshots
from tosmon.config import Security
from tosmon.deliver import SmtpChannel, SmtpSettings
from tosmon.demo.pages import Pages
from tosmon.demo.postbox import Postbox
from tosmon.demo.serve import PORT, listening, serve_archive
from tosmon.demo.site import Site
from tosmon.demo.story import EVENTS, Story, declared
from tosmon.errors import ArchiveError
from tosmon.fetch import Fetcher
from tosmon.http import Client, Limits
from tosmon.judge import load_rules
from tosmon.model import MAIL, Addressee, Alert, AlertKind, Direction, Outcome
from tosmon.publish import FeedSettings, MailSettings
from tosmon.publish.text import line
from tosmon.publish.words import DIRECTION
from tosmon.run import LEASE, FeedFiles, Looked, Works, bring_up_profiles, deliver, look
from tosmon.track import World, remind

READER = "you@reader.example"
_AUTHORITY = "demo.tosmon.example"
_RETURNED = re.compile("^returned to the text of .*")


@dataclass(frozen=True, slots=True)
class Told:
    """One alert of the story."""

    at: datetime
    service: str
    type: str
    kind: AlertKind
    headline: str
    topics: Mapping[str, Direction]


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What came of the story. `address` is where the archive was served, `None` when it was not."""

    folder: Path
    seconds: float
    looks: int
    versions: int
    incidents: int
    told: tuple[Told, ...]
    mails: int
    feeds: int
    address: str | None


class _Clock:
    """The clock that everything in the demo reads, turned by hand."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at


def run(
    folder: Path | None,
    *,
    browser: bool,
    serve: bool,
    port: int | None,
    report: Callable[[str], None],
    until: datetime | None = None,
) -> DemoResult:
    """Live through the story in `folder` (a temporary one if `None`), then serve its archive until interrupted.

    `report` gets each line that is said. The story ends at `until`, by default now. A `port` that is taken (or `None`)
    is replaced by a free one. Raises ArchiveError when the folder holds an archive already, or cannot be written.
    """
    began = time.perf_counter()
    # What is logged is told here in the story's own words.
    logging.getLogger("tosmon").addHandler(logging.NullHandler())
    kept = folder is not None
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tosmon-demo-")))
        _make(folder)
        story = Story(until or datetime.now(UTC))
        clock = _Clock(story.start)
        pages = Pages(story)
        socket = stack.enter_context(listening(port)) if serve else None
        address = f"http://127.0.0.1:{socket.getsockname()[1]}" if socket else f"http://127.0.0.1:{PORT}"
        site = stack.enter_context(Site(lambda path: pages.get(path, clock())))
        postbox = stack.enter_context(Postbox(folder / "mail"))
        works = stack.enter_context(_works(folder, story, clock, site.address, address, postbox.port))
        looks = _live(works, story, clock, report)
        FeedFiles(works).write_new()
        bring_up_profiles(works)
        result = _result(works, folder, looks, postbox, time.perf_counter() - began, address if socket else None)
        report("")
        for text in _summary(result):
            report(text)
        if kept:
            report(f"Read on with: tosmon -c {shlex.quote(str(_write_config(folder, works)))} changes")
        if socket is not None:
            report(
                f"The archive is at {address} (the platforms themselves are at {site.address}). Ctrl-C ends the demo."
            )
            if browser:
                webbrowser.open(address)
            serve_archive(works, folder / "snapshots", clock, socket)
    return result


def _make(folder: Path) -> None:
    if (folder / "archive.sqlite").exists():
        raise ArchiveError(f"{folder} holds an archive already; the demo wants a folder of its own")
    try:
        (folder / "mail").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArchiveError(f"cannot make the folder {folder}: {error.strerror or error}") from error


_CONFIG = """\
# The demo's archive, to be read with tosmon's own commands: tosmon -c config.yaml changes
# The invented platforms ended with the demo: their documents are paused, and nobody is told of anything.
archive: archive.sqlite
snapshots: snapshots
public: public
politeness: {allow_private_addresses: true, robots: false, pause: 0s}
"""


def _write_config(folder: Path, works: Works) -> Path:
    """The configuration of this archive, unless there is one."""
    path = folder / "config.yaml"
    feeds = {"title": works.feeds.title, "site_url": works.feeds.site_url, "authority": works.feeds.authority}
    services: dict[str, dict[str, object]] = {}
    for terms in works.declared.values():
        sources = [{"url": one.url, "select": list(one.select)} for one in terms.form.sources]
        urls = [one if one["select"] else one["url"] for one in sources]
        service = services.setdefault(terms.key.service, {"key": terms.key.service, "tags": terms.tags, "terms": []})
        declared_so = service["terms"]
        assert isinstance(declared_so, list)
        declared_so.append({"type": terms.key.type, "url": urls, "paused": True})
    # JSON is YAML: nothing has to be quoted by hand.
    rest = f"feeds: {json.dumps(feeds)}\nservices: {json.dumps(list(services.values()), indent=1)}\n"
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(_CONFIG + rest)
    except FileExistsError:
        pass
    except OSError as error:
        raise ArchiveError(f"{path} cannot be written: {error.strerror or error}") from error
    return path


# --- wiring ----------------------------------------------------------------------------------------------------------


@contextmanager
def _works(folder: Path, story: Story, clock: _Clock, site: str, address: str, smtp_port: int) -> Iterator[Works]:
    archive = Archive(f"sqlite:///{folder / 'archive.sqlite'}")
    # No proxy of the environment: nothing here leaves the machine.
    client = Client(Limits(allow_private_addresses=True), clock=clock, environment={})
    try:
        terms = declared(site)
        archive.declare(terms, clock())
        identity = archive.identity(_AUTHORITY, story.start.date())
        feeds = FeedSettings("tosmon demo: invented platforms", address, identity.authority, identity.started)
        world = World(
            archive=archive,
            snapshots=Snapshots(folder / "snapshots"),
            fetcher=Fetcher(client, pause=timedelta(0)),
            rules=load_rules(),
            identity=identity,
            addressees=lambda alert: [Addressee(MAIL, READER)],
            clock=clock,
        )
        smtp = SmtpSettings("127.0.0.1", smtp_port, Security.NONE)
        mails = MailSettings(f"tosmon demo <alerts@{_AUTHORITY}>", feeds)
        channels = {MAIL: SmtpChannel(smtp, mails, clock)}

        yield Works(world, {one.key: one for one in terms}, channels, feeds, folder / "public", workers=1)
    finally:
        client.close()
        archive.close()


# --- the story -----------------------------------------------------------------------------------------------------


def _live(works: Works, story: Story, clock: _Clock, report: Callable[[str], None]) -> int:
    """Look whenever something is due until the story ends; how many looks that were."""
    archive = works.world.archive
    coming = [event for event in EVENTS if story.moment(event.day) <= story.end]
    report(f"{story.start:%d %b %Y}  tosmon looks at {len(works.declared)} documents of six invented platforms")
    looks, reminded, said = 0, story.start.date(), set[str]()
    while (due := archive.next_due()) is not None and due <= story.end:
        clock.at = max(clock.at, due)
        while coming and story.moment(coming[0].day) <= clock.at:
            event = coming.pop(0)
            report(f"{story.moment(event.day):%d %b %Y}  {event.service} {event.what}")
        if clock.at.date() != reminded:
            reminded = clock.at.date()
            for alert in remind(list(works.declared.values()), works.world, reminded):
                _say(report, _of_alert(alert))
            deliver(works)
        for standing in archive.claim_due(clock.at, LEASE):
            looked = look(standing, works)
            looks += 1
            heard = _of_look(looked)
            # What is kept quietly again and again (an experiment that flaps) is said once.
            if heard is not None and (looked.outcome is not Outcome.QUIET or heard not in said):
                said.add(heard)
                _say(report, heard)
            if looked.recorded is not None and looked.recorded.alert is not None:
                deliver(works)
    clock.at = story.end
    return looks


def _say(report: Callable[[str], None], text: str) -> None:
    report(f"             → {text}")


def _of_look(looked: Looked) -> str | None:
    """What is worth saying of a look; nothing of one that found all as it was."""
    name = f"{looked.key.service} {looked.key.type}"
    recorded = looked.recorded
    if recorded is not None and recorded.alert is not None:
        return _of_alert(recorded.alert)
    if recorded is not None and recorded.incident_opened:
        verdict = f" ({looked.verdict.value})" if looked.verdict is not None else ""
        return f"incident: {name} cannot be read{verdict}; the operator sees it, nobody is told of a change"
    if recorded is not None and recorded.incident_closed:
        return f"{name} can be read again"
    if looked.outcome is Outcome.QUIET:
        return f"kept, told to nobody: {name}: {_RETURNED.sub('back to an earlier text', line(looked.detail, 80))}"
    return None


def _of_alert(alert: Alert) -> str:
    signs = "".join(dict.fromkeys(DIRECTION[flag.direction][0] for flag in alert.flags))
    return f"told: {signs + ' ' if signs else ''}{line(alert.headline, 200)}"


def _result(
    works: Works, folder: Path, looks: int, postbox: Postbox, seconds: float, address: str | None
) -> DemoResult:
    browse = works.world.archive.browse
    told = tuple(
        Told(
            alert.at,
            alert.service,
            alert.type,
            alert.kind,
            alert.headline,
            {flag.topic: flag.direction for flag in alert.flags},
        )
        for alert in reversed(browse.alerts("all", 1000))
    )
    return DemoResult(
        folder=folder,
        seconds=round(seconds, 1),
        looks=looks,
        versions=browse.counts()["versions"],
        incidents=len(browse.incidents(open_only=False)),
        told=told,
        mails=len(postbox.mails()),
        feeds=len(list((folder / "public").rglob("*.atom"))),
        address=address,
    )


def _summary(result: DemoResult) -> Iterator[str]:
    yield (
        f"Sixteen weeks in {result.seconds:.0f} s: {result.looks} looks, {result.versions} versions kept, "
        f"{len(result.told)} alerts, {result.mails} mails, {result.incidents} incidents."
    )
    yield f"Mails, feeds and captured pages are in {result.folder}"
