"""The clock: due documents are looked at, what is pending is handed over, and stopping loses nothing."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from platforms import SECTIONS, TRAINS, Site, configuration, page, serving

from tosmon import run, track
from tosmon.archive import Recorded, Standing
from tosmon.cli.wiring import works_of
from tosmon.config import load_config
from tosmon.model import Outcome, Terms, TermsKey, Verdict

ROOT = Path(__file__).parents[2]
TERMS = "Terms of Service"
PATIENCE = 60


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as made:
        yield made


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    code = "import tosmon.cli; tosmon.cli.main()"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TOSMON_")}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def running(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = started(folder, *arguments)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def until(true: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    """Wait for something that another process does; it says what went wrong when it dies instead."""
    pause = threading.Event()
    end = time.monotonic() + PATIENCE
    while not true():
        assert process is None or process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end, "waited in vain"
        pause.wait(0.05)


def rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    try:
        with contextlib.closing(sqlite3.connect(f"file:{folder}/archive.sqlite?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchall()
    except sqlite3.OperationalError:
        return []


def checks(folder: Path) -> int:
    found = rows(folder, 'SELECT count(*) FROM "check"')
    return int(str(found[0][0])) if found else 0


# --- stopping -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_finishes_the_look_at_hand(site: Site, tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end `run` after the pages under way are recorded; nothing else is begun."""
    configuration(tmp_path, site, {name: [TERMS] for name in "ABCDEF"})
    site.open.clear()
    with running(tmp_path, "run", "--no-web") as process:
        until(lambda: len(site.asked) == 1, process)  # one request at a time goes to one host
        process.send_signal(number)
        assert process.stderr is not None
        until(lambda: "Stopping" in process.stderr.readline(), process)  # type: ignore[union-attr]
        site.open.set()
        _, told = process.communicate(timeout=PATIENCE)

    assert process.returncode == 0, told
    # The second worker may have taken a document and be waiting for its turn at the host: it is finished too.
    assert 1 <= checks(tmp_path) == len(site.asked) <= 2
    assert rows(tmp_path, "SELECT count(*) FROM terms WHERE claimed_by IS NOT NULL") == [(0,)]


def test_interrupted_check_says_so(site: Site, tmp_path: Path) -> None:
    """`check` ends with 130 after the looks at hand; the rest is looked at the next time."""
    configuration(tmp_path, site, {name: [TERMS] for name in "ABCDEF"})
    site.open.clear()
    with running(tmp_path, "check") as process:
        until(lambda: len(site.asked) == 1, process)
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        until(lambda: "Stopping" in process.stderr.readline(), process)  # type: ignore[union-attr]
        site.open.set()
        process.communicate(timeout=PATIENCE)

    assert process.returncode == 130
    assert 1 <= checks(tmp_path) == len(site.asked) <= 2


# --- sharing --------------------------------------------------------------------------------------------------------


def test_two_instances_do_no_double_work(site: Site, tmp_path: Path) -> None:
    """Two processes on one archive look at each document once."""
    names = [f"Service{number}" for number in range(12)]
    configuration(tmp_path, site, {name: [TERMS] for name in names})
    with running(tmp_path, "run", "--no-web") as one, running(tmp_path, "run", "--no-web") as other:
        until(lambda: checks(tmp_path) >= 12, one)
        for process in (one, other):
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE)

    assert sorted(site.asked) == sorted(f"/{name}/terms" for name in names)
    assert checks(tmp_path) == 12


def test_document_that_another_process_holds_is_left_to_it(site: Site, tmp_path: Path) -> None:
    """A claimed document is not looked at a second time, and that is said."""
    path = configuration(tmp_path, site, {"A": [TERMS], "B": [TERMS]})
    with works_of(load_config(path, {})) as works:
        keys = [TermsKey("A", TERMS), TermsKey("B", TERMS)]
        works.world.archive.claim(keys[:1], works.world.clock(), run.LEASE)

        looked = run.look_at(keys, works)

    assert [one.outcome for one in looked] == [None, Outcome.FIRST]
    assert looked[0].detail == "another process is looking at it"
    assert site.asked == ["/B/terms"]


def test_bug_in_one_document_blinds_no_other(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A page that brings out a bug is logged and left for later; the others are looked at."""
    path = configuration(tmp_path, site, {"A": [TERMS], "B": [TERMS]})
    check = track.check

    def buggy(standing: Standing, terms: Terms, world: track.World) -> Recorded:
        if standing.key.service == "A":
            raise ZeroDivisionError("page of doom")
        return check(standing, terms, world)

    monkeypatch.setattr(track, "check", buggy)
    with works_of(load_config(path, {})) as works:
        count = run.look_at_due(works)
        due = works.world.archive.claim_due(works.world.clock(), run.LEASE)

    assert count == 2
    assert due == []
    assert checks(tmp_path) == 1
    assert "page of doom" in caplog.text


# --- what is due --------------------------------------------------------------------------------------------------


def test_only_what_is_due_is_looked_at(site: Site, tmp_path: Path) -> None:
    """A new document is due at once, then when its interval is over; a paused one never."""
    path = configuration(tmp_path, site, {"A": [TERMS], "B": [TERMS], "C": [TERMS]})
    path.write_text(path.read_text().replace("- key: C", "- key: C\n    paused: true"))
    with works_of(load_config(path, {})) as works:
        first, again = run.look_at_due(works), run.look_at_due(works)

    assert (first, again) == (2, 0)
    assert sorted(site.asked) == ["/A/terms", "/B/terms"]


def test_document_of_another_configuration_is_left_alone(site: Site, tmp_path: Path) -> None:
    """What another process declared on the same archive is not ours to look at, and does not stop us."""
    path = configuration(tmp_path, site, {"A": [TERMS], "B": [TERMS]})
    with works_of(load_config(path, {})) as works:
        only_b = run.Works(
            works.world,
            {TermsKey("B", TERMS): works.declared[TermsKey("B", TERMS)]},
            works.channels,
            works.feeds,
            works.public,
        )

        assert run.look_at_due(only_b) == 1
    assert site.asked == ["/B/terms"]


# --- telling --------------------------------------------------------------------------------------------------------


class Mailbox:
    """What an SMTP server on loopback took."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.mails.append(BytesParser(policy=default).parsebytes(envelope.content))
        return "250 OK"


@pytest.fixture
def smtp() -> Iterator[tuple[int, Mailbox]]:
    mailbox = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield port, mailbox
    finally:
        controller.stop()


def with_mail(port: int, recipients: str) -> str:
    return f"email: {{host: 127.0.0.1, port: {port}, security: none, from: t@ink.example, recipients: {recipients}}}"


def test_run_looks_tells_and_serves(site: Site, tmp_path: Path, smtp: tuple[int, Mailbox]) -> None:
    """From a changed page to a mail, a feed entry and a page of the archive, by the clock alone."""
    port, mailbox = smtp
    path = configuration(tmp_path, site, {"Inkwell": [TERMS]}, with_mail(port, "[reader@ink.example]"))
    path.write_text(path.read_text().replace("workers: 2", "workers: 2, interval: 2s"))
    feed = tmp_path / "public/feeds/all.atom"
    with running(tmp_path, "run", "--port", "0") as process:
        assert process.stderr is not None
        address = process.stderr.readline().split()[-1]
        until(lambda: checks(tmp_path) >= 1 and feed.exists(), process)
        site.pages["/Inkwell/terms"] = page(Your_drawings=TRAINS)
        until(lambda: bool(mailbox.mails) and "<entry>" in feed.read_text(), process)
        with urllib.request.urlopen(f"{address}/", timeout=10) as answer:
            home = answer.read().decode()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)

    assert process.returncode == 0
    (mail,) = mailbox.mails
    assert mail["To"] == "reader@ink.example"
    body = mail.get_body(("plain",))
    assert body is not None and "train machine learning models" in " ".join(body.get_content().split())
    assert "Inkwell" in home
    assert feed.read_text().count("<entry>") == 1


def test_recipients_get_what_they_asked_for(site: Site, tmp_path: Path, smtp: tuple[int, Mailbox]) -> None:
    """By severity, topic and service; each alert goes out once, however often `check` runs."""
    port, mailbox = smtp
    recipients = """[
      all@ink.example,
      {address: topic@ink.example, topics: [ai_training]},
      {address: other-topic@ink.example, topics: [arbitration]},
      {address: service@ink.example, services: [Quill]},
      {address: high@ink.example, severity: high}]"""
    path = configuration(tmp_path, site, {"Inkwell": [TERMS], "Quill": [TERMS]}, with_mail(port, recipients))
    config = load_config(path, {})
    pages = [
        {},
        {
            "/Inkwell/terms": page(Your_drawings=TRAINS),
            "/Quill/terms": page(Payments=SECTIONS["Payments"].replace("six", "nine")),
        },
        {},
    ]
    for changed in pages:
        site.pages.update(changed)
        with works_of(config) as works:
            looked = run.look_at(list(works.declared), works)
            run.deliver(works)
            run.deliver(works)

    told = sorted((str(mail["To"]).split("@")[0], "Inkwell" in mail["Subject"]) for mail in mailbox.mails)
    assert [one.outcome for one in looked] == [Outcome.UNCHANGED] * 2
    assert told == [("all", False), ("all", True), ("high", True), ("service", False), ("topic", True)]
    assert len({mail["Message-ID"] for mail in mailbox.mails}) == 5


def test_mail_test_proves_the_set_up(site: Site, tmp_path: Path, smtp: tuple[int, Mailbox]) -> None:
    """One mail to each recipient; or what went wrong, the setting to look at, and exit code 1."""
    port, mailbox = smtp
    path = configuration(tmp_path, site, {}, with_mail(port, "[a@ink.example, b@ink.example]"))
    sent = started(tmp_path, "mail-test")
    _, told = sent.communicate(timeout=PATIENCE)
    path.write_text(path.read_text().replace(f"port: {port}", "port: 1"))
    refused = started(tmp_path, "mail-test")
    _, complaint = refused.communicate(timeout=PATIENCE)

    assert (sent.returncode, told.count(": sent")) == (0, 2)
    assert sorted(str(mail["To"]) for mail in mailbox.mails) == ["a@ink.example", "b@ink.example"]
    assert refused.returncode == 1
    assert "SMTP server 127.0.0.1:1: " in complaint and "see email.host and email.port" in complaint


def test_feeds_are_written_once_and_then_as_alerts_come(site: Site, tmp_path: Path) -> None:
    """The first round writes every feed, the next ones those that new alerts stand in, and nothing without any."""
    path = configuration(tmp_path, site, {"Inkwell": [TERMS], "Quill": [TERMS]})
    with works_of(load_config(path, {})) as works:
        feeds = run.FeedFiles(works)
        run.look_at(list(works.declared), works)
        first, still = feeds.write_new(), feeds.write_new()
        site.pages["/Inkwell/terms"] = page(Your_drawings=TRAINS)
        run.look_at(list(works.declared), works)
        news = {str(file.relative_to(tmp_path / "public")) for file in feeds.write_new()}

    names = {str(file.relative_to(tmp_path / "public")) for file in first}
    assert {"feeds.opml", "feeds/all.atom", "feeds/all.rss", "feeds/all.json", "feeds/service/Quill.atom"} <= names
    assert still == ()
    assert {"feeds.opml", "feeds/all.atom", "feeds/service/Inkwell.rss", "feeds/topic/ai_training.json"} <= news
    assert not any("Quill" in name for name in news)


def test_incidents_are_written_for_the_operator(site: Site, tmp_path: Path) -> None:
    """The feed is there from the first round, and written anew when an incident opens or closes, and only then."""
    config = load_config(configuration(tmp_path, site, {"Inkwell": [TERMS]}), {})
    feed = tmp_path / "public/feeds/incidents.atom"
    good = site.pages["/Inkwell/terms"]
    counts = []
    with works_of(config) as works:
        files = run.FeedFiles(works)
        for shown in (good, "<title>Just a moment...</title>", "<title>Just a moment...</title>", good, good):
            site.pages["/Inkwell/terms"] = shown
            run.look_at(list(works.declared), works)
            written = [path.name for path in files.write_new() if path.name.startswith("incidents")]
            counts.append((len(written), feed.read_text().count("<entry>")))

    assert counts == [(3, 0), (3, 1), (0, 1), (3, 2), (0, 2)]


def test_feed_ids_survive_the_configuration(site: Site, tmp_path: Path) -> None:
    """The first authority is kept for ever: another one, or another address of the archive, changes no id."""
    path = configuration(tmp_path, site, {"Inkwell": [TERMS]})
    with works_of(load_config(path, {})) as works:
        first = works.feeds
    path.write_text(
        path.read_text().replace("authority: ink.example", "authority: new.example, site_url: https://x.example")
    )
    with works_of(load_config(path, {})) as works:
        second = works.feeds

    assert (first.authority, second.authority) == ("ink.example", "ink.example")
    assert first.started == second.started
    assert second.site_url == "https://x.example"


def test_archives_without_a_name_are_told_apart(site: Site, tmp_path: Path) -> None:
    """Where nothing says whose an archive is, its ids are made of a name of its own, not of one that all share."""
    authorities = set()
    for name in "ab":
        folder = tmp_path / name
        folder.mkdir()
        path = configuration(folder, site, {})
        path.write_text(path.read_text().replace("feeds: {authority: ink.example}", ""))
        with works_of(load_config(path, {})) as works:
            authorities.add(works.feeds.authority)

    assert len(authorities) == 2


def test_taken_port_is_a_clear_error(site: Site, tmp_path: Path) -> None:
    """Who started tosmon twice is told so."""
    configuration(tmp_path, site, {})
    port = site.url.rsplit(":", 1)[1]
    process = started(tmp_path, "serve", "--port", port)
    _, told = process.communicate(timeout=PATIENCE)

    assert process.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use; set another web.port" in told


def test_json_of_check_is_alone_on_stdout(site: Site, tmp_path: Path) -> None:
    """Progress, hints and warnings never get between the answer and the program that reads it."""
    configuration(tmp_path, site, {"Inkwell": [TERMS]})
    process = started(tmp_path, "-vv", "check", "--json")
    out, told = process.communicate(timeout=PATIENCE)

    assert json.loads(out)["looked_at"] == 1
    assert "first version" in told


# --- the hub ----------------------------------------------------------------------------------------------------------


def test_hub_is_told_which_feeds_are_new(site: Site, tmp_path: Path) -> None:
    """With a WebSub hub each round names the feeds whose bytes changed, and none when none did."""
    path = configuration(tmp_path, site, {"A": [TERMS]})
    told: list[str] = []
    with works_of(load_config(path, {})) as works:
        works = replace(works, ping=told.extend)
        feeds = run.FeedFiles(works)
        run.publish_new(feeds, works)
        first = list(told)
        run.publish_new(feeds, works)

    assert any(url.endswith("/feeds/all.atom") for url in first)
    assert any(url.endswith("/feeds/service/A.rss") for url in first) and told == first


def test_hub_that_fails_is_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    """A hub that is away, or refuses, is logged; the feeds are out all the same."""
    from tosmon.cli.wiring import pinging
    from tosmon.http import Client, Limits

    client = Client(Limits(connect_timeout=timedelta(seconds=1)), clock=lambda: datetime.now(UTC), environment={})
    pinging("http://127.0.0.1:9/hub", client)(["https://terms.example/feeds/all.atom"])
    client.close()

    assert "feeds.hub" in caplog.text


def test_a_network_that_is_down_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """After a few documents that cannot be reached, the rest is one line that points at this machine."""
    unreached = run.Unreached()
    with caplog.at_level(logging.WARNING), unreached.round():
        with unreached.round():
            news = [unreached.is_news(Verdict.UNREACHABLE) for _ in range(48)]
        assert not caplog.records

    assert news.count(True) == 3
    (said,) = caplog.records
    assert said.getMessage().startswith("48 documents could not be reached: look at the network")
