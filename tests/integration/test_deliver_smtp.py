"""Mail through a real SMTP server and the real archive: every notification arrives, whatever the server does."""

from __future__ import annotations

import asyncio
import email
import email.policy
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from random import Random
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from tosmon import publish
from tosmon.archive import Archive, Envelope, NewChange, Recording
from tosmon.clauses import canonical_digest, split
from tosmon.compare import compare
from tosmon.config import Security
from tosmon.deliver import Delivered, SmtpChannel, SmtpSettings, deliver_due
from tosmon.model import (
    Addressee,
    Alert,
    AlertKind,
    ChangeState,
    Form,
    Judgement,
    NotificationState,
    Outcome,
    Severity,
    SourceDocument,
    Terms,
    TermsKey,
    Verdict,
    Version,
)
from tosmon.publish import FeedSettings, MailSettings, WaysOut

NOW = datetime(2026, 10, 21, 14, 0, tzinfo=UTC)
KEY = TermsKey("Paintbox", "Terms of Service")
MAILS = MailSettings(
    "Terms we live by <alerts@example.org>",
    FeedSettings("Terms we live by", "https://terms.example", "example.org", date(2026, 1, 31)),
)


# --- an archive with something to tell ----------------------------------------------------------------------------


def tell(archive: Archive, recipients: Sequence[str], changes: int = 1) -> None:
    """Record changes of a document that each of the recipients is to be told of."""
    archive.declare([Terms(KEY, "Paintbox", Form((SourceDocument("https://paintbox.example/terms"),)))], NOW)
    before = None
    for number in range(changes + 1):
        [standing] = archive.claim([KEY], NOW, timedelta(minutes=5))
        clauses = split(f"We keep your pictures for {number} years.")
        version = Version(clauses, NOW, b"d" * 32, canonical_digest(clauses), 6)
        recorded = archive.record(
            Recording(
                standing, NOW, NOW, Verdict.OK, Outcome.CHANGED, "", NOW + timedelta(hours=1), 0,
                version=version, change=_change(before, recipients) if before else None,
            )
        )  # fmt: skip
        before = recorded.version_id


def _change(before_id: int, recipients: Sequence[str]) -> NewChange:
    def telling(change_id: int, version_id: int) -> tuple[Alert, list[Envelope], list[str]]:
        alert = Alert(
            uid=publish.alert_uid("example.org", date(2026, 1, 31), change_id, AlertKind.CHANGE),
            kind=AlertKind.CHANGE,
            at=NOW,
            service="Paintbox",
            service_name="Paintbox",
            type="Terms of Service",
            url="https://paintbox.example/terms",
            headline="Paintbox Terms of Service: keeps your pictures longer",
            severity=Severity.MEDIUM,
            change_id=change_id,
            version_id=version_id,
        )
        to = [
            Envelope(Addressee("email", one), publish.message_id("example.org", alert.uid, one)) for one in recipients
        ]
        return alert, to, [feed.path for feed in publish.feeds_for(alert)]

    judgement = Judgement(True, "a number", Severity.MEDIUM, "keeps your pictures longer")
    comparison = compare(split("One."), split("Two."))
    return NewChange(before_id, judgement, comparison, ChangeState.TOLD, "seen", telling)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = Archive(f"sqlite:///{tmp_path}/archive.sqlite")
    yield opened
    opened.close()


class Clock:
    """A time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


# --- a mail server ------------------------------------------------------------------------------------------------


@dataclass
class Mailbox:
    """Takes mail as an SMTP server would; `at_rcpt` and `at_data` may answer something else than 250."""

    at_rcpt: Callable[[str], str | None] = lambda address: None
    at_data: Callable[[bytes], str | None] = lambda content: None
    received: list[tuple[str, EmailMessage]] = field(default_factory=list)
    sessions: set[int] = field(default_factory=set)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        refused = self.at_rcpt(address)
        if refused is None:
            envelope.rcpt_tos.append(address)
        return refused or "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        refused = self.at_data(envelope.content)
        if refused is None:
            message = email.message_from_bytes(envelope.content, policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            self.received.append((envelope.rcpt_tos[0], message))
            self.sessions.add(id(session))
        return refused or "250 OK"

    @property
    def recipients(self) -> list[str]:
        return [recipient for recipient, _ in self.received]


class OnFreePort(Controller):
    """aiosmtpd's own, which cannot tell the port it was given when it asked for any."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@contextmanager
def serving(mailbox: Mailbox, **options: Any) -> Iterator[SmtpSettings]:
    """The mailbox behind a real SMTP server on a free port; gives the settings that reach it."""
    controller = OnFreePort(mailbox, hostname="127.0.0.1", port=0, **options)
    controller.start()
    try:
        yield SmtpSettings("127.0.0.1", controller.port, Security.NONE, timeout=timedelta(seconds=5))
    finally:
        controller.stop()


def run(archive: Archive, smtp: SmtpSettings, clock: Callable[[], datetime] = lambda: NOW, **options: Any) -> Delivered:
    with SmtpChannel(smtp, MAILS, clock, **options) as channel:
        return deliver_due(archive.outbox, {"email": channel}, clock)


# --- when all is well ---------------------------------------------------------------------------------------------


def test_each_recipient_gets_each_alert_once(archive: Archive) -> None:
    """Two changes and three recipients are six mails, over one connection, and a second run sends nothing."""
    everyone = ["ada@example.net", "ben@example.net", "cat@example.net"]
    tell(archive, everyone, changes=2)
    mailbox = Mailbox()
    with serving(mailbox) as smtp:
        assert run(archive, smtp) == Delivered(sent=6)
        assert run(archive, smtp) == Delivered()

    assert Counter(mailbox.recipients) == dict.fromkeys(everyone, 2)
    assert len({message["Message-ID"] for _, message in mailbox.received}) == 6
    assert len(mailbox.sessions) == 1
    assert archive.outbox.counts() == {"sent": 6}


def test_mail_arrives_whole(archive: Archive) -> None:
    """What the server receives parses without defects and holds both texts, the links and the way out."""
    tell(archive, ["ada@example.net"])
    mailbox = Mailbox()
    with serving(mailbox) as smtp:
        run(archive, smtp, ways_out=lambda notification: WaysOut("https://terms.example/unsubscribe?token=abc"))
    [(_, message)] = mailbox.received

    assert [part.defects for part in message.walk()] == [[], [], []]
    assert message["Subject"] == "MEDIUM · Paintbox: keeps your pictures longer"
    assert message["List-Unsubscribe"] == "<https://terms.example/unsubscribe?token=abc>"
    for kind in ("plain", "html"):
        part = message.get_body((kind,))
        assert part is not None and "https://terms.example/changes/1" in part.get_content()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A key and a certificate for 127.0.0.1, made for this run."""
    folder = tmp_path_factory.mktemp("tls")
    key, made = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", made],
        check=True, capture_output=True,
    )  # fmt: skip
    return key, made


def _tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate[1], certificate[0])
    return context


def _login(server: Any, session: Any, envelope: Any, mechanism: str, given: Any) -> AuthResult:
    right = isinstance(given, LoginPassword) and (given.login, given.password) == (b"tosmon", b"open sesame")
    return AuthResult(success=right, handled=False)


def test_mail_goes_through_starttls_and_login(archive: Archive, certificate: tuple[Path, Path]) -> None:
    """With STARTTLS and a log-in, as most mail servers ask for, mail is sent; the certificate is verified."""
    tell(archive, ["ada@example.net"])
    mailbox = Mailbox()
    with serving(
        mailbox, tls_context=_tls(certificate), require_starttls=True, authenticator=_login, auth_required=True
    ) as plain:
        smtp = replace(plain, security=Security.STARTTLS, user="tosmon", password="open sesame", ca_file=certificate[1])
        assert run(archive, smtp) == Delivered(sent=1)
    assert mailbox.recipients == ["ada@example.net"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"password": "wrong"}, "535"),
        ({"ca_file": None}, "certificate verify failed"),
        ({"security": Security.NONE}, "AUTH extension not supported"),
        ({"security": Security.TLS}, "WRONG_VERSION_NUMBER|record layer failure|wrong version number"),
    ],
)
def test_wrong_settings_lose_nothing(
    archive: Archive, certificate: tuple[Path, Path], changes: dict[str, Any], words: str
) -> None:
    """A wrong password, an unknown certificate or the wrong port holds mail back and says so; nothing is given up."""
    tell(archive, ["ada@example.net", "ben@example.net"])
    mailbox = Mailbox()
    with serving(
        mailbox, tls_context=_tls(certificate), require_starttls=True, authenticator=_login, auth_required=True
    ) as plain:
        right = replace(
            plain, security=Security.STARTTLS, user="tosmon", password="open sesame", ca_file=certificate[1]
        )
        assert run(archive, replace(right, **changes)) == Delivered(failed=2)
        [one, _] = archive.outbox.notifications(NotificationState.PENDING)
        assert re.search(words, one.error), one.error
        assert "open sesame" not in one.error + repr(right)

        assert run(archive, right, lambda: NOW + timedelta(minutes=10)) == Delivered(sent=2)


def test_pace_is_kept(archive: Archive) -> None:
    """With a limit of thirty a minute two seconds pass between two mails."""
    tell(archive, ["ada@example.net", "ben@example.net", "cat@example.net"])
    waited: list[float] = []
    time = 0.0

    def sleep(seconds: float) -> None:
        nonlocal time
        waited.append(seconds)
        time += seconds

    with serving(Mailbox()) as smtp:
        run(archive, replace(smtp, per_minute=30), clock=lambda: NOW, sleep=sleep, monotonic=lambda: time)

    assert waited == [2.0, 2.0]


# --- when it is not -----------------------------------------------------------------------------------------------


def test_server_down_for_six_hours_loses_nothing(archive: Archive) -> None:
    """While the server is away everything waits; when it is back all of it goes out, once."""
    tell(archive, ["ada@example.net", "ben@example.net"], changes=3)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        away = SmtpSettings("127.0.0.1", unused.getsockname()[1], Security.NONE)
        clock = Clock()
        runs = []
        while clock.now < NOW + timedelta(hours=6):
            runs.append(run(archive, away, clock))
            clock.now += timedelta(minutes=1)

    assert sum(one.sent + one.dead for one in runs) == 0
    assert all(one.failed in (0, 6) for one in runs)
    mailbox = Mailbox()
    with serving(mailbox) as smtp:
        clock.now += timedelta(minutes=10)
        assert run(archive, smtp, clock) == Delivered(sent=6)
    assert len({message["Message-ID"] for _, message in mailbox.received}) == len(mailbox.received) == 6


def test_refused_recipient_harms_no_other(archive: Archive) -> None:
    """An address that is no more becomes a dead letter with the server's words; the others get their mail."""
    tell(archive, ["ada@example.net", "gone@example.net", "cat@example.net"])
    mailbox = Mailbox(at_rcpt=lambda address: "550 5.1.1 no such user" if address.startswith("gone") else None)
    with serving(mailbox) as smtp:
        assert run(archive, smtp) == Delivered(sent=2, dead=1)

    assert mailbox.recipients == ["ada@example.net", "cat@example.net"]
    [dead] = archive.outbox.notifications(NotificationState.DEAD)
    assert (dead.recipient, "550 5.1.1 no such user" in dead.error) == ("gone@example.net", True)


def test_refused_mail_is_given_up_and_a_full_mailbox_is_not(archive: Archive) -> None:
    """What the server will never take is a dead letter; what it cannot take now is tried again."""
    tell(archive, ["ada@example.net", "ben@example.net"])
    answers = iter(["554 5.7.1 spam", "452 4.2.2 mailbox full"])
    with serving(Mailbox(at_data=lambda content: next(answers))) as smtp:
        assert run(archive, smtp) == Delivered(failed=1, dead=1)


def test_greylisting_is_waited_out(archive: Archive) -> None:
    """A server that takes no first attempt gets a second one minutes later."""
    tell(archive, ["ada@example.net", "ben@example.net"])
    clock, first_seen = Clock(), dict[str, datetime]()

    def greylist(address: str) -> str | None:
        seen = first_seen.setdefault(address, clock.now)
        return None if clock.now - seen >= timedelta(minutes=5) else "451 4.7.1 greylisted, try again later"

    mailbox = Mailbox(at_rcpt=greylist)
    with serving(mailbox) as smtp:
        outcomes = []
        for minutes in (0, 1, 6):
            clock.now = NOW + timedelta(minutes=minutes)
            outcomes.append(run(archive, smtp, clock))

    assert outcomes == [Delivered(failed=2), Delivered(failed=2), Delivered(sent=2)]
    assert Counter(mailbox.recipients) == {"ada@example.net": 1, "ben@example.net": 1}


def test_server_that_closes_politely_is_asked_again_later(archive: Archive) -> None:
    """421 is about the server, not the recipient: nothing is given up, and nobody else is tried in this run."""
    tell(archive, ["ada@example.net", "ben@example.net"])
    asked: list[str] = []

    def closing(address: str) -> str:
        asked.append(address)
        return "421 4.3.2 shutting down"

    with serving(Mailbox(at_rcpt=closing)) as smtp:
        assert run(archive, smtp) == Delivered(failed=2)
    assert len(asked) == 1


def test_server_that_takes_few_mails_a_connection_is_called_again(archive: Archive) -> None:
    """A server that ends a connection after one mail gets the next one over a new connection, in the same run."""
    tell(archive, ["ada@example.net", "ben@example.net", "cat@example.net"])

    class HangsUp(Mailbox):
        async def handle_NOOP(self, server: Any, session: Any, envelope: Any, argument: str) -> str:
            return "421 that was enough"

    mailbox = HangsUp()
    with serving(mailbox) as smtp:
        assert run(archive, smtp) == Delivered(sent=3)
    assert len(mailbox.received) == 3


class DyingServer:
    """An SMTP server that hangs up during DATA: after a few bytes, or when it has the whole mail but before it says so."""

    def __init__(self, deaths: int, after_all: bool) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._deaths, self._after_all = deaths, after_all
        self.taken: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> SmtpSettings:
        self._thread.start()
        return SmtpSettings("127.0.0.1", self._socket.getsockname()[1], Security.NONE, timeout=timedelta(seconds=5))

    def __exit__(self, *error: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as stream:
                self._talk(stream)

    def _talk(self, stream: Any) -> None:
        def say(words: bytes) -> None:
            stream.write(words + b"\r\n")
            stream.flush()

        say(b"220 ready")
        while line := stream.readline():
            verb = line[:4].upper()
            if verb == b"QUIT":
                say(b"221 bye")
                return
            if verb != b"DATA":
                say(b"250 OK")
                continue
            say(b"354 go on")
            if self._deaths and not self._after_all:
                stream.read(100)
                self._deaths -= 1
                return
            content = b"".join(iter(stream.readline, b".\r\n"))
            self.taken.append(content)
            if self._deaths:
                self._deaths -= 1
                return
            say(b"250 taken")


@pytest.mark.parametrize("after_all", [False, True], ids=["after some bytes", "before its answer"])
def test_server_that_dies_in_mid_data_gets_the_same_mail_again(archive: Archive, after_all: bool) -> None:
    """A connection that breaks during DATA is tried again with the same Message-ID: at least once, and else once."""
    tell(archive, ["ada@example.net", "ben@example.net"])
    dying = DyingServer(1, after_all)
    with dying as smtp:
        assert run(archive, smtp) == Delivered(sent=1, failed=1)
        assert run(archive, smtp, lambda: NOW + timedelta(minutes=1)) == Delivered(sent=1)

    ids = Counter(email.message_from_bytes(content)["Message-ID"] for content in dying.taken)
    assert sorted(ids.values()) == ([1, 2] if after_all else [1, 1])


def test_server_that_keeps_dying_is_left_alone_for_this_run(archive: Archive) -> None:
    """Two broken connections in a row are the server's fault: the rest waits."""
    tell(archive, ["ada@example.net", "ben@example.net", "cat@example.net"])
    with DyingServer(9, False) as smtp:
        assert run(archive, smtp) == Delivered(failed=3)


def test_silent_server_holds_up_no_longer_than_its_time_out(archive: Archive) -> None:
    """A server that takes the connection and says nothing costs one time-out for all that waits."""
    tell(archive, ["ada@example.net", "ben@example.net", "cat@example.net"])
    with socket.create_server(("127.0.0.1", 0)) as silent:
        smtp = SmtpSettings("127.0.0.1", silent.getsockname()[1], Security.NONE, timeout=timedelta(milliseconds=200))
        assert run(archive, smtp) == Delivered(failed=3)
    [one, *_] = archive.outbox.notifications(NotificationState.PENDING)
    assert "timed out" in one.error


# --- kill -9 ------------------------------------------------------------------------------------------------------

KILLS = int(os.environ.get("TOSMON_KILLS", "20"))

# Delivers, and dies at the given call of any Python function: an instant that no test of ours has chosen.
_CHILD = """
import os, signal, sys
from datetime import datetime, timedelta, timezone
sys.path.insert(0, {tests!r})
import test_deliver_smtp as t
archive = t.Archive({archive!r})
now = datetime.fromisoformat({now!r})
calls = 0
def count(frame, event, argument):
    global calls
    calls += event == "call"
    if calls == {die_at}:
        os.kill(os.getpid(), signal.SIGKILL)
smtp = t.SmtpSettings("127.0.0.1", {port}, t.Security.NONE)
sys.setprofile(count)
done = t.run(archive, smtp, lambda: now)
sys.setprofile(None)
print(calls)
"""


def _child(tmp_path: Path, port: int, now: datetime, die_at: int) -> subprocess.CompletedProcess[str]:
    code = _CHILD.format(
        tests=str(Path(__file__).parent), archive=f"sqlite:///{tmp_path}/archive.sqlite", now=now.isoformat(),
        port=port, die_at=die_at,
    )  # fmt: skip
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.kill
def test_killed_at_any_instant_no_mail_is_lost(archive: Archive, tmp_path: Path) -> None:
    """Killed again and again at random instants, every mail arrives; a second copy only has the same Message-ID."""
    recipients = [f"reader{number}@example.net" for number in range(4)]
    tell(archive, recipients)
    mailbox = Mailbox()
    random = Random(6)
    now, told, killed = NOW, 4, 0
    with serving(mailbox) as smtp:
        calls = int(_child(tmp_path, smtp.port, now, 0).stdout)
        while killed < KILLS:
            if not archive.outbox.counts().keys() - {"sent"}:
                tell(archive, recipients)
                told += 4
            now += timedelta(hours=1)  # what a dead process had claimed is free again
            done = _child(tmp_path, smtp.port, now, random.randrange(1, calls))
            killed += done.returncode == -signal.SIGKILL
            assert done.returncode in (0, -signal.SIGKILL), done.stderr
        assert _child(tmp_path, smtp.port, now + timedelta(hours=1), 0).returncode == 0

    ids = Counter(message["Message-ID"] for _, message in mailbox.received)
    assert archive.outbox.counts() == {"sent": told}
    assert len(ids) == told
    doubled = sum(ids.values()) - told
    print(f"{killed} kills, {told} notifications, {doubled} second copies")
    assert doubled <= killed and max(ids.values()) <= 2 + KILLS // 20
