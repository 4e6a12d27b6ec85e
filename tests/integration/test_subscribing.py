"""Subscribe on the web, confirm by mail, be told, choose, leave: over real HTTP, real SMTP and a real archive."""

from __future__ import annotations

import asyncio
import email
import email.policy
import json
import re
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from bs4 import BeautifulSoup
from sqlalchemy import create_engine, text
from web_server import serving

from tosmon import cli, publish, run
from tosmon.archive import Archive, AskingLimits, Envelope, NewChange, Recording
from tosmon.clauses import canonical_digest, split
from tosmon.cli import wiring
from tosmon.compare import compare
from tosmon.config import Config, Email, Security, load_config
from tosmon.deliver import Delivered, deliver_due
from tosmon.model import (
    MAIL,
    Alert,
    AlertKind,
    ChangeState,
    Choices,
    Direction,
    Flag,
    Form,
    Frequency,
    Judgement,
    Outcome,
    Severity,
    SourceDocument,
    SubscriberState,
    Terms,
    TermsKey,
    Verdict,
    Version,
)
from tosmon.publish import FeedSettings
from tosmon.publish.signed import Purpose
from tosmon.web import Subscribing, WebSettings, app

NOW = datetime(2026, 10, 21, 14, 0, tzinfo=UTC)
TERMS, PRIVACY = TermsKey("Paintbox", "Terms of Service"), TermsKey("Paintbox", "Privacy Policy")
OTHER = TermsKey("Inkwell", "Terms of Service")
ADA = "ada@example.net"


# --- a mail server ------------------------------------------------------------------------------------------------


@dataclass
class Mailbox:
    """Takes mail for everyone; `refuses` says whom it never heard of."""

    refuses: Callable[[str], bool] = lambda address: False
    received: list[tuple[str, EmailMessage]] = field(default_factory=list)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.refuses(address):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.received.append((envelope.rcpt_tos[0], message))
        return "250 OK"

    def take(self) -> list[tuple[str, EmailMessage]]:
        """What came since the last time."""
        taken, self.received = self.received, []
        return taken


class _OnFreePort(Controller):
    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


def _login(server: Any, session: Any, envelope: Any, mechanism: str, given: Any) -> AuthResult:
    right = isinstance(given, LoginPassword) and (given.login, given.password) == (b"tosmon", b"open sesame")
    return AuthResult(success=right, handled=False)


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


@contextmanager
def mail_server(mailbox: Mailbox, certificate: tuple[Path, Path]) -> Iterator[int]:
    """The mailbox behind STARTTLS and a log-in; gives its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate[1], certificate[0])
    controller = _OnFreePort(
        mailbox, hostname="127.0.0.1", port=0, tls_context=context, require_starttls=True, authenticator=_login,
        auth_required=True, enable_SMTPUTF8=True,
    )  # fmt: skip
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


# --- a house with everything in it --------------------------------------------------------------------------------


@dataclass
class House:
    """An archive, its web and its mail, wired as the command line wires them, with a clock that is turned by hand."""

    archive: Archive
    config: Config
    mailbox: Mailbox
    base: str = ""
    at: datetime = NOW
    count: int = 0

    def now(self) -> datetime:
        return self.at

    # mail

    def ways(self, stack: ExitStack) -> wiring.Channels:
        """The ways of delivery, made anew as after a restart."""
        identity = wiring.identity_of(self.config, self.archive)
        feeds = wiring.feed_settings(self.config, identity)
        return wiring.channels_of(self.config, feeds, self.archive, identity, stack)

    def deliver(self) -> list[tuple[str, EmailMessage]]:
        """One round of the delivery loop; the mails that arrived by it."""
        with ExitStack() as stack:
            ways = self.ways(stack)
            for send in ways.letters.values():
                send(lambda: False)
            deliver_due(self.archive.outbox, ways.channels, self.now, suspend=wiring.suspension_of(self.archive))
        return self.mailbox.take()

    def tell(
        self, key: TermsKey = TERMS, severity: Severity = Severity.MEDIUM, kind: AlertKind = AlertKind.CHANGE
    ) -> int:
        """Record a change of a document that people are told of; its id."""
        [standing] = self.archive.claim([key], self.at, timedelta(seconds=1))
        before = standing.latest.id if standing.latest else None
        self.count += 1
        clauses = split(f"We keep your pictures for {self.count} years.")
        version = Version(clauses, self.at, bytes([self.count]) * 32, canonical_digest(clauses), 6)
        change = None if before is None else self._change(before, key, severity)
        recorded = self.archive.record(
            Recording(
                standing, self.at, self.at, Verdict.OK, Outcome.CHANGED, "", self.at, 0, version=version, change=change
            )
        )
        return recorded.change_id or 0

    def follow_up(self, change_id: int, kind: AlertKind) -> None:
        """Tell again of a recorded change."""
        change = self.archive.browse.change(change_id)
        assert change is not None
        self.archive.tell(change, self._telling(change.key, Severity.MEDIUM, kind), self.at)

    def _change(self, before_id: int, key: TermsKey, severity: Severity) -> NewChange:
        judgement = Judgement(True, "a number", severity, "keeps your pictures longer")
        comparison = compare(split("One."), split("Two."))
        telling = self._telling(key, severity, AlertKind.CHANGE)
        return NewChange(before_id, judgement, comparison, ChangeState.TOLD, "seen", telling)

    def _telling(self, key: TermsKey, severity: Severity, kind: AlertKind) -> Any:
        addressees = wiring.addressees_of(self.config.email, self.archive, self.now)

        def telling(change_id: int, version_id: int) -> tuple[Alert, list[Envelope], list[str]]:
            alert = Alert(
                uid=publish.alert_uid("example.org", date(2026, 1, 31), change_id, kind), kind=kind, at=self.at,
                service=key.service, service_name=key.service, type=key.type, url="https://paintbox.example/terms",
                headline=f"{key.service} {key.type}: keeps your pictures longer", severity=severity,
                flags=(Flag("ai_training", Direction.WORSE, "may train on it"),), change_id=change_id,
                version_id=version_id,
            )  # fmt: skip
            to = [
                Envelope(one, publish.message_id("example.org", alert.uid, one.recipient)) for one in addressees(alert)
            ]
            return alert, to, [feed.path for feed in publish.feeds_for(alert)]

        return telling

    # web

    def here(self, link: str) -> str:
        """A link of a mail, on the port that this run was given."""
        parts = urlsplit(link)
        assert f"{parts.scheme}://{parts.netloc}" == "https://terms.example"
        return self.base + parts.path + (f"?{parts.query}" if parts.query else "")

    def get(self, link: str, **more: Any) -> requests.Response:
        return requests.get(link, timeout=30, allow_redirects=False, **more)

    def post(self, link: str, /, **fields: Any) -> requests.Response:
        return requests.post(link, data=fields, timeout=30, allow_redirects=False)

    def ask(self, address: str = ADA, **fields: Any) -> requests.Response:
        return self.post(f"{self.base}/subscribe", address=address, **fields)

    def subscribe(self, address: str = ADA, **fields: Any) -> str:
        """From the form to the page of choices; its address."""
        assert self.ask(address, **fields).status_code == 303
        [(_, message)] = self.deliver()
        return self.yes(link_in(message, "/subscribe/confirm/"))

    def yes(self, link: str) -> str:
        answer = self.post(self.here(link))
        assert answer.status_code == 303, answer.text
        return self.base + answer.headers["Location"].partition("?")[0]

    def state(self, address: str = ADA) -> SubscriberState | None:
        found = self.archive.subscribers.by_address(address)
        return found.state if found else None


@pytest.fixture
def house(tmp_path: Path, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    mailbox = Mailbox()
    with mail_server(mailbox, certificate) as port:
        config = Config.model_validate(
            {
                "email": {"host": "127.0.0.1", "port": port, "user": "tosmon", "password": "open sesame",
                          "ca_file": str(certificate[1]), "from": "Terms we live by <alerts@example.org>"},
                "feeds": {"title": "Terms we live by", "site_url": "https://terms.example"},
            },
        )  # fmt: skip
        archive = Archive(f"sqlite:///{tmp_path}/archive.sqlite")
        house = House(archive, config, mailbox)
        monkeypatch.setattr(wiring, "now", house.now)
        archive.declare(
            [
                Terms(key, key.service, Form((SourceDocument(f"https://{key.service}.example/"),)))
                for key in (TERMS, PRIVACY, OTHER)
            ],
            NOW,
        )
        for key in (TERMS, PRIVACY, OTHER):
            house.tell(key)
        feeds = wiring.feed_settings(config, wiring.identity_of(config, archive))
        with serving(web(house, feeds)) as base:
            house.base = base
            yield house
        archive.close()


def web(house: House, feeds: FeedSettings, **subscribing: Any) -> Any:
    signer = wiring.signer_of(wiring.identity_of(house.config, house.archive))
    settings = WebSettings(
        "Terms we live by", "https://terms.example", feeds=feeds, subscribing=Subscribing(signer, **subscribing)
    )
    return app(house.archive, settings, house.now)


def link_in(message: EmailMessage, path: str) -> str:
    """The link to a path of ours that both bodies of a mail hold."""
    found = set()
    for kind in ("plain", "html"):
        part = message.get_body((kind,))
        assert part is not None
        content = part.get_content()
        links = re.findall(r'https://terms\.example[^\s"<>]*', content)
        found.add(next(link for link in links if urlsplit(link).path.startswith(path)))
    [link] = found
    return str(link)


def text_of(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def words(answer: requests.Response) -> str:
    return " ".join(BeautifulSoup(answer.text, "lxml").get_text(" ").split())


# --- from the form to the last mail -------------------------------------------------------------------------------


def test_from_the_form_to_the_last_mail(house: House) -> None:
    """Signing up, the mail that asks, its link, an alert, one click to leave: and nothing more comes."""
    page = house.get(f"{house.base}/subscribe")
    form = BeautifulSoup(page.text, "lxml").find("form", action="/subscribe")
    assert form is not None and page.status_code == 200

    asked = house.ask(severity="medium", topic=["ai_training"])
    assert (asked.status_code, asked.headers["Location"]) == (303, "/subscribe/asked")
    assert "mailbox" in words(house.get(house.base + "/subscribe/asked"))
    house.tell()
    [(recipient, question)] = house.deliver()
    assert recipient == ADA and question["To"] == ADA
    assert [part.defects for part in question.walk()] == [[], [], []]
    assert question["Auto-Submitted"] == "auto-generated" and question["Date"].datetime == NOW
    assert question["List-Unsubscribe"] is None
    link = link_in(question, "/subscribe/confirm/")
    assert ADA not in link and "ada" not in link

    for _ in range(2):  # following a link changes nothing: scanners of mail follow them all
        assert "Yes, write to me" in words(house.get(house.here(link)))
    assert house.state() is SubscriberState.ASKED
    choices = house.yes(link)
    assert house.state() is SubscriberState.CONFIRMED

    house.tell()
    [(recipient, alert)] = house.deliver()
    assert recipient == ADA and "Paintbox" in alert["Subject"]
    assert alert["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    leave = alert["List-Unsubscribe"].strip("<>")
    assert link_in(alert, "/unsubscribe/") == leave
    assert house.here(link_in(alert, "/subscription/")) == choices

    house.tell()  # waits while its reader leaves
    assert "Unsubscribe?" in words(house.get(house.here(leave)))
    clicked = requests.post(
        house.here(leave), data={"List-Unsubscribe": "One-Click"}, headers={"Origin": "https://mail.example"},
        timeout=30, allow_redirects=False,
    )  # fmt: skip
    assert clicked.status_code == 200 and house.state() is SubscriberState.LEFT
    house.tell()
    assert house.deliver() == []


def test_one_click_is_taken_as_multipart_too(house: House) -> None:
    """RFC 8058 lets mail programs send their click as multipart/form-data; the body is not what counts."""
    house.subscribe()
    house.tell()
    [(_, alert)] = house.deliver()
    clicked = requests.post(
        house.here(alert["List-Unsubscribe"].strip("<>")), files={"List-Unsubscribe": (None, "One-Click")}, timeout=30
    )

    assert clicked.status_code == 200 and house.state() is SubscriberState.LEFT


def test_each_letter_goes_once(house: House) -> None:
    """A second round sends nothing, and a letter keeps its Message-ID over its attempts."""
    house.mailbox.refuses = lambda address: False
    house.ask()
    assert len(house.deliver()) == 1
    assert house.deliver() == []


def test_two_deliveries_at_once_send_each_letter_once(house: House) -> None:
    """Two processes on one archive share the letters: what one has taken the other leaves alone."""
    house.ask("ada@example.net")
    house.ask("ben@example.net")
    subscribers, lease = house.archive.subscribers, timedelta(minutes=10)
    [first] = subscribers.claim_letters(NOW, 1, lease)
    [second] = subscribers.claim_letters(NOW, 5, lease)
    assert {first.subscriber.address, second.subscriber.address} == {"ada@example.net", "ben@example.net"}
    assert house.deliver() == []


def test_a_letter_survives_a_death_between_claim_and_settling(house: House) -> None:
    """What a killed process had taken is sent when its claim has run out, as the same mail."""
    house.ask()
    [taken] = house.archive.subscribers.claim_letters(NOW, 1, timedelta(minutes=10))
    house.at += timedelta(minutes=10, seconds=1)
    [(_, question)] = house.deliver()
    assert question["Message-ID"] == f"<letter.{taken.uid}@terms.example>"
    house.archive.subscribers.settle_letter_failed(taken.id, "too late", None)  # by the one that was thought dead
    assert [letter.attempts for letter, error in house.archive.subscribers.letters() if not error] == [2]


def test_leaving_drops_letters_that_wait(house: House) -> None:
    """Who leaves while a copy of their data waits for the server gets no mail any more."""
    choices = house.subscribe()
    house.post(choices, do="copy")
    house.post(choices, do="leave")
    assert house.deliver() == []


def test_a_mail_server_that_is_away_loses_no_letter(house: House) -> None:
    """While the server is away the question waits; when it is back it goes out, once."""
    assert house.config.email is not None
    away = house.config.model_copy(update={"email": house.config.email.model_copy(update={"port": 1})})
    house.ask()
    right, house.config = house.config, away
    assert house.deliver() == []
    house.config, house.at = right, NOW + timedelta(hours=6)
    assert len(house.deliver()) == 1
    assert house.deliver() == []


# --- nobody learns anything, nobody speaks for another ------------------------------------------------------------


def test_the_answer_is_the_same_whoever_is_known(house: House) -> None:
    """New, asked, subscribed, gone or past its limit: the answer to an address never tells which."""
    answers = []

    def look() -> None:
        answer = house.ask()
        answers.append((answer.status_code, answer.headers["Location"], answer.text))

    look()
    [(_, question)] = house.deliver()
    choices = house.yes(link_in(question, "/subscribe/confirm/"))
    look()
    house.post(choices, do="leave")
    look()
    house.at += timedelta(hours=1, seconds=1)
    look()  # the fourth of a day is written to nobody
    assert len(set(answers)) == 1


def test_an_address_gets_three_letters_a_day(house: House) -> None:
    """Whoever types a stranger's address again and again fills no mailbox with it."""
    for _ in range(6):
        assert house.ask().status_code == 303
    assert [to for to, _ in house.deliver()] == [ADA] * 3

    house.at += timedelta(days=1, seconds=1)
    house.ask()
    assert len(house.deliver()) == 1


def test_a_network_asks_ten_times_an_hour(house: House) -> None:
    """One client cannot have letters written to a list of addresses; an hour later it may ask again."""
    statuses = [house.ask(f"reader{number}@example.net").status_code for number in range(12)]
    assert statuses == [303] * 10 + [429] * 2
    assert len(house.deliver()) == 10
    house.at += timedelta(hours=1, seconds=1)
    assert house.ask("late@example.net").status_code == 303


def test_readers_behind_a_proxy_are_told_apart(house: House) -> None:
    """A proxy on this machine says whom it asks for; neighbours count as one network, others for themselves."""

    def ask(number: int, client: str) -> int:
        fields = {"address": f"reader{number}@example.net"}
        headers = {"X-Forwarded-For": client}
        return requests.post(
            f"{house.base}/subscribe", data=fields, headers=headers, timeout=30, allow_redirects=False
        ).status_code

    assert [ask(number, f"203.0.113.{number}") for number in range(11)] == [303] * 10 + [429]
    assert ask(11, "198.51.100.1") == ask(12, "2001:db8::1") == 303


def test_whoever_is_subscribed_gets_their_link_and_no_change(house: House) -> None:
    """A stranger who types a subscriber's address changes nothing; the subscriber gets the link to their choices."""
    choices = house.subscribe(severity="high")
    house.ask(severity="low", frequency="weekly")
    [(_, letter)] = house.deliver()

    assert house.here(link_in(letter, "/subscription/")) == choices
    found = house.archive.subscribers.by_address(ADA)
    assert found is not None
    assert (found.choices.severity, found.choices.frequency) == (Severity.HIGH, Frequency.IMMEDIATE)


def test_saying_yes_means_the_choices_in_that_mail(house: House) -> None:
    """Of two questions each link subscribes to what its own mail said, whoever asked the other one."""
    house.ask(service=["Inkwell"])
    house.ask(service=["Paintbox"], severity="high")
    (_, mine), (_, strangers) = house.deliver()
    assert "Changes at Inkwell" in words(house.get(house.here(link_in(mine, "/subscribe/confirm/"))))
    house.yes(link_in(mine, "/subscribe/confirm/"))

    found = house.archive.subscribers.by_address(ADA)
    assert found is not None and found.choices == Choices(services=("Inkwell",))
    answer = house.get(house.here(link_in(strangers, "/subscribe/confirm/")))
    assert answer.status_code == 303  # to the choices as they are
    assert house.archive.subscribers.by_address(ADA) == found


def test_forms_of_other_sites_are_refused(house: House) -> None:
    """A page elsewhere can send none of our forms in a reader's name, but for the one click of mail programs."""
    choices = house.subscribe()
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
    ):
        for path in (f"{house.base}/subscribe", choices):
            answer = requests.post(path, data={"address": "x@example.org", "do": "leave"}, headers=headers, timeout=30)
            assert answer.status_code == 403
    assert house.state() is SubscriberState.CONFIRMED

    ours = {"Origin": "null", "Sec-Fetch-Site": "same-origin"}
    assert requests.post(choices, data={"do": "pause"}, headers=ours, timeout=30).status_code == 200


@pytest.mark.parametrize("origin", ["https://terms.example", "HOST"])
def test_forms_of_this_site_are_taken(house: House, origin: str) -> None:
    """Both the public address and the one that was asked are ours."""
    origin = house.base if origin == "HOST" else origin
    answer = requests.post(
        f"{house.base}/subscribe", data={"address": ADA}, headers={"Origin": origin}, timeout=30, allow_redirects=False
    )
    assert answer.status_code == 303


def test_programs_that_fill_in_every_field_are_left_alone(house: House) -> None:
    """A field that no person sees is filled in by none; the answer gives nothing away."""
    assert house.ask(website="https://spam.example").headers["Location"] == "/subscribe/asked"
    assert house.deliver() == []


# --- hostile input ------------------------------------------------------------------------------------------------


NO_ADDRESSES = (
    "",
    "=?utf-8?q?v=0d=0aSubject=3A_win=0d=0a=0d=0aPay_here?=@target.example",
    "ada",
    "ada@",
    "@example.net",
    "ada@localhost",
    "ada@example.net\r\nBcc: victim@example.org",
    "ada@example.net\nSubject: win",
    "ada@example.net, ben@example.net",
    "Ada <ada@example.net>",
    '"ada\r\nBcc: x"@example.net',
    '"ada b"@example.net',
    "ada@[127.0.0.1]",
    "ada@example..net",
    "ada\x00@example.net",
    "a\u202eda@example.net",
    "a" * 250 + "@example.net",
    "a" * 10_000 + "@example.net",
    "ada@" + "a" * 10_000 + ".net",
    "<script>alert(1)</script>@example.net",
)


def test_what_is_no_address_is_refused_and_said(house: House) -> None:
    """Nothing is stored and nothing sent for what is not one plain address; the form comes back with its reason."""
    for address in NO_ADDRESSES:
        answer = house.ask(address)
        assert answer.status_code == 400, address
        assert "Give a mail address like" in words(answer) and "<script>alert" not in answer.text, address
    assert house.archive.subscribers.all() == [] and house.deliver() == []


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (" Ada@Example.NET ", "Ada@example.net"),
        ("ada+terms@example.net", "ada+terms@example.net"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("josé@example.net", "josé@example.net"),
        ("jose\u0301@example.net", "josé@example.net"),
        ("用户@例子.example", "用户@xn--fsqu00a.example"),
    ],
)
def test_addresses_of_all_scripts_are_written_to(house: House, written: str, kept: str) -> None:
    """An address in any script gets its question; its domain is kept in ASCII."""
    assert house.ask(written).status_code == 303
    [(recipient, question)] = house.deliver()
    assert recipient == kept and question["To"].addresses[0].addr_spec == kept
    house.yes(link_in(question, "/subscribe/confirm/"))
    house.tell()
    [(recipient, _)] = house.deliver()
    assert recipient == kept


def test_letter_case_makes_no_second_subscriber(house: House) -> None:
    """`ADA@EXAMPLE.NET` is the subscriber that `ada@example.net` is."""
    house.subscribe(ADA)
    house.ask("ADA@EXAMPLE.NET")
    [(recipient, letter)] = house.deliver()
    assert recipient == ADA and letter["Subject"].startswith("Your subscription")


def test_an_address_that_only_looks_like_another_keeps_nobody_out(house: House) -> None:
    """Letter case is that of ASCII: whoever subscribes as `ſam@` gets none of what `sam@` asks for."""
    house.ask("ſam@example.net")
    house.deliver()
    house.ask("sam@example.net")
    assert [recipient for recipient, _ in house.deliver()] == ["sam@example.net"]


def test_choices_that_are_not_offered_are_never_stored(house: House) -> None:
    """Services, topics and tags that do not exist are left out; what must be one of a few is refused."""
    house.subscribe(service=["Paintbox", "Nowhere\r\nBcc: x@example.org"], topic=["ai_training", "<b>"], tag=["x"])
    found = house.archive.subscribers.by_address(ADA)
    assert found is not None and found.choices == Choices(services=("Paintbox",), topics=("ai_training",))

    for bad in (
        {"zone": "../../etc/passwd"},
        {"hour": "24"},
        {"weekday": "7"},
        {"severity": "all"},
        {"frequency": "x"},
    ):
        assert house.ask("ben@example.net", **bad).status_code == 400


def test_a_form_is_small_and_a_form(house: House) -> None:
    """Megabytes, thousands of fields and other kinds of content are refused, and change nothing."""
    large = requests.post(f"{house.base}/subscribe", data={"address": ADA, "x": "y" * 1_000_000}, timeout=30)
    many = requests.post(f"{house.base}/subscribe", data="&".join(["a=b"] * 10_000), timeout=30,
                         headers={"Content-Type": "application/x-www-form-urlencoded"})  # fmt: skip
    other = requests.post(f"{house.base}/subscribe", json={"address": ADA}, timeout=30)
    assert (large.status_code, many.status_code, other.status_code) == (413, 413, 415)
    assert house.archive.subscribers.all() == []


def test_tampered_links_lead_nowhere(house: House) -> None:
    """One changed letter anywhere, a link of another purpose, or a made-up one: refused, and nothing changes."""
    choices = house.subscribe()
    token = choices.rpartition("/")[2]
    for at in range(0, len(token), 7):
        wrong = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        assert house.get(f"{house.base}/subscription/{wrong}").status_code == 404
        assert house.post(f"{house.base}/subscription/{wrong}", do="leave").status_code == 404
    for path in ("unsubscribe", "mute", "subscribe/confirm"):  # a link for one purpose is none for another
        assert house.get(f"{house.base}/{path}/{token}").status_code == 404
        assert house.post(f"{house.base}/{path}/{token}").status_code == 404
    for nonsense in ("x", "A" * 64, "%00", "é" * 64, "A" * 5000, token + "=", token[:-1]):
        assert house.get(f"{house.base}/subscription/{nonsense}").status_code == 404
    assert house.state() is SubscriberState.CONFIRMED


def test_old_links_bring_nobody_back(house: House) -> None:
    """A question answered once, then left, is void for ever: replaying its link subscribes nobody."""
    house.ask()
    [(_, question)] = house.deliver()
    link = house.here(link_in(question, "/subscribe/confirm/"))
    choices = house.yes(link_in(question, "/subscribe/confirm/"))
    assert house.post(link).status_code == 303  # clicked twice: no harm, no change
    house.at += timedelta(minutes=1)
    house.post(choices, do="leave")

    for _ in range(2):
        assert house.get(link).status_code == house.post(link).status_code == 410
    assert house.state() is SubscriberState.LEFT


def test_a_question_is_good_for_a_week(house: House) -> None:
    """A link that asks is void after seven days, and says how to get a new one."""
    house.ask()
    [(_, question)] = house.deliver()
    link = house.here(link_in(question, "/subscribe/confirm/"))
    house.at += timedelta(days=7, seconds=-1)
    assert house.get(link).status_code == 200
    house.at += timedelta(seconds=2)
    assert house.get(link).status_code == house.post(link).status_code == 410
    assert "This link is used up" in words(house.get(link))


def test_pages_of_subscribers_are_kept_by_nobody_and_show_no_address(house: House) -> None:
    """No cache and no search engine keeps them, and a forwarded link shows a mask where the address would be."""
    choices = house.subscribe("ada.lovelace@example.net")
    house.tell()
    [(_, alert)] = house.deliver()
    links = [choices, *(house.here(link_in(alert, path)) for path in ("/unsubscribe/", "/mute/"))]
    for link in links:
        answer = house.get(link)
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-store" and answer.headers["X-Robots-Tag"] == "noindex"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "lovelace" not in answer.text and "example.net" not in answer.text
        assert "a…@e….net" in words(answer)


# --- choosing -----------------------------------------------------------------------------------------------------


def test_choices_decide_what_comes(house: House) -> None:
    """Severity, topic and service each hold back what they should."""
    house.subscribe(severity="medium", service=["Paintbox"], topic=["ai_training", "content_license"])
    house.tell(TERMS, Severity.LOW)
    house.tell(OTHER, Severity.HIGH)
    assert house.deliver() == []
    house.tell(TERMS, Severity.HIGH)
    assert len(house.deliver()) == 1


def test_pages_lead_to_the_form_filled_in(house: House) -> None:
    """A service and its documents offer mail beside their feeds; the form opens with the service ticked."""
    for path in ("/services/Paintbox", "/services/Paintbox/Terms%20of%20Service"):
        page = BeautifulSoup(house.get(house.base + path).text, "lxml")
        [link] = [one["href"] for one in page.find_all("a") if one.get_text() == "by mail"]
        form = BeautifulSoup(house.get(house.base + str(link)).text, "lxml")
        assert [box["value"] for box in form.select("input[name=service][checked]")] == ["Paintbox"]
        assert form.select_one("details[open]") is not None


def test_choices_are_changed_by_the_link(house: House) -> None:
    """The page shows what was chosen; saving it anew counts from the next alert on."""
    choices = house.subscribe(severity="high", service=["Paintbox"])
    form = BeautifulSoup(house.get(choices).text, "lxml")
    assert form.select_one("input[name=severity][value=high][checked]") is not None
    assert [box["value"] for box in form.select("input[name=service][checked]")] == ["Paintbox"]

    answer = house.post(choices, do="save", severity="low", service=["Inkwell"], frequency="immediate")
    assert answer.status_code == 303
    assert "Saved" in words(house.get(house.base + answer.headers["Location"]))
    house.tell(TERMS, Severity.HIGH)
    house.tell(OTHER, Severity.LOW)
    [(_, alert)] = house.deliver()
    assert "Inkwell" in alert["Subject"]


def test_saving_keeps_what_the_form_does_not_offer_any_more(house: House) -> None:
    """A filter that the operator set, or whose service is gone, is shown and kept: dropping it would mean everything."""
    chosen = Choices(("Gone",), ("own_topic",), ("own tag",), zone="Etc/GMT-14", frequency=Frequency.DAILY)
    house.archive.subscribers.enrol(ADA, chosen, NOW)
    found = house.archive.subscribers.by_address(ADA)
    assert found is not None
    signer = wiring.signer_of(wiring.identity_of(house.config, house.archive))
    link = f"{house.base}/subscription/{signer.token(Purpose.CHOICES, found.handle)}"
    form = BeautifulSoup(house.get(link).text, "lxml").select_one("form.choices")
    assert form is not None
    fields = [(str(one["name"]), str(one["value"])) for one in form.select("input[checked]")]
    for select in form.select("select"):
        option = select.select_one("option[selected]")
        assert option is not None
        fields.append((str(select["name"]), str(option.get("value") or option.get_text())))
    requests.post(link, data=[*fields, ("do", "save")], timeout=30)
    after = house.archive.subscribers.by_address(ADA)
    assert after is not None and after.choices == chosen


def test_a_document_is_muted_by_its_mail_and_heard_again(house: House) -> None:
    """The link in a mail mutes its document alone, after a button; the choices bring it back."""
    choices = house.subscribe()
    house.tell(TERMS)
    [(_, alert)] = house.deliver()
    mute = house.here(link_in(alert, "/mute/"))
    assert "Paintbox: Terms of Service" in words(house.get(mute))
    house.tell(TERMS)  # waits while its reader mutes it
    assert house.post(mute).status_code == house.post(mute).status_code == 303

    house.tell(TERMS)
    house.tell(PRIVACY)
    [(_, other)] = house.deliver()
    assert "Privacy Policy" in text_of(other)
    page = BeautifulSoup(house.get(choices).text, "lxml")
    [box] = page.select("input[name=muted]")
    assert box.has_attr("checked")
    house.post(choices, do="save", muted=[box["value"]])
    house.tell(TERMS)
    assert house.deliver() == []
    house.post(choices, do="save")
    house.tell(TERMS)
    assert len(house.deliver()) == 1


def test_pausing_holds_everything_back(house: House) -> None:
    """While paused nothing comes, and what happened meanwhile is not sent later."""
    choices = house.subscribe()
    house.tell()
    house.post(choices, do="pause")
    house.tell()
    assert house.deliver() == []
    house.post(choices, do="resume")
    assert house.deliver() == []
    house.tell()
    assert len(house.deliver()) == 1


def test_a_daily_digest_comes_at_its_hour(house: House) -> None:
    """All of a day comes in one mail at the hour of the subscriber's own clock, and once."""
    house.subscribe(frequency="daily", hour="18", zone="Europe/Berlin")
    for key in (TERMS, PRIVACY, TERMS):
        house.tell(key)
    house.at = datetime(2026, 10, 21, 15, 59, tzinfo=UTC)
    assert house.deliver() == []
    house.at = datetime(2026, 10, 21, 16, 0, tzinfo=UTC)
    [(_, digest)] = house.deliver()
    assert text_of(digest).count("https://terms.example/changes/") >= 3
    body = digest.get_body(("html",))
    assert body is not None
    mutes = BeautifulSoup(body.get_content(), "lxml").find_all("a", string="Mute this document")
    documents = {words(house.get(house.here(str(one["href"])))) for one in mutes}
    assert (len(mutes), len(documents)) == (3, 2)  # two of the three changes are of one document
    assert digest["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert house.deliver() == []

    house.at = datetime(2026, 10, 24, 20, 0, tzinfo=UTC)  # the night in which summer time ends
    house.tell()
    house.at = datetime(2026, 10, 25, 16, 59, tzinfo=UTC)
    assert house.deliver() == []
    house.at = datetime(2026, 10, 25, 17, 0, tzinfo=UTC)
    assert len(house.deliver()) == 1


def test_follow_ups_go_to_whoever_was_told(house: House) -> None:
    """A reminder, a correction or a withdrawal says something only to those who know of the change."""
    house.subscribe(ADA)
    change = house.tell()
    assert [to for to, _ in house.deliver()] == [ADA]
    house.subscribe("late@example.net")
    for kind in (AlertKind.REMINDER, AlertKind.CORRECTION, AlertKind.WITHDRAWN):
        house.follow_up(change, kind)
        assert [to for to, _ in house.deliver()] == [ADA]


# --- one's own data -----------------------------------------------------------------------------------------------


def test_a_copy_of_ones_data_comes_by_mail_and_as_a_file(house: House) -> None:
    """The file on the web has a mask for the address, as the link may have been forwarded; the mail has all of it."""
    choices = house.subscribe(severity="medium")
    house.tell()
    house.deliver()
    file = house.post(choices, do="download")
    assert file.headers["Content-Disposition"] == 'attachment; filename="your-data.json"'
    assert file.json()["address"] == "a…@e….net"
    assert file.json()["alerts"][0]["headline"].startswith("Paintbox")

    house.post(choices, do="copy")
    house.post(choices, do="copy")
    [(recipient, letter)] = house.deliver()
    [attached] = letter.iter_attachments()
    kept = json.loads(attached.get_content())
    assert recipient == ADA == kept["address"] and kept["choices"]["severity"] == "medium"


def test_erasing_leaves_nothing(house: House, tmp_path: Path) -> None:
    """After erasing, the address stands nowhere in the archive, every link is dead, and nothing more comes."""
    choices = house.subscribe("ada.lovelace@example.net")
    house.tell()
    [(_, alert)] = house.deliver()
    house.tell()
    assert house.post(choices, do="erase").headers["Location"].endswith("?said=unsure")
    assert house.post(choices, do="erase", sure="yes").status_code == 200

    engine = create_engine(f"sqlite:///{tmp_path}/archive.sqlite")
    with engine.connect() as connection:
        tables = (
            connection.execute(
                text("select name from sqlite_master where type = 'table' and name not like 'clause_words%'")
            )
            .scalars()
            .all()
        )
        for table in tables:
            rows = connection.execute(text(f'select * from "{table}"')).all()
            assert "lovelace" not in repr(rows), table
    engine.dispose()
    house.tell()
    assert house.deliver() == []
    for path in ("/unsubscribe/", "/mute/", "/subscription/"):
        link = house.here(link_in(alert, path))
        assert house.get(link).status_code == (200 if path == "/unsubscribe/" else 410)
        assert house.post(link, do="save").status_code == (200 if path == "/unsubscribe/" else 410)


def test_addresses_that_never_said_yes_are_forgotten(house: House, tmp_path: Path) -> None:
    """A month after the last question an unconfirmed address is kept no longer, nor who asked; subscribers stay."""
    house.subscribe(ADA)
    house.ask("stranger@example.net")
    assert house.archive.subscribers.forget_unconfirmed(NOW + timedelta(days=29)) == 0
    assert house.archive.subscribers.forget_unconfirmed(NOW + timedelta(days=31)) == 1
    assert [one.address for one in house.archive.subscribers.all()] == [ADA]
    engine = create_engine(f"sqlite:///{tmp_path}/archive.sqlite")
    with engine.connect() as connection:
        assert connection.execute(text("select count(*) from asking")).scalar() == 0
    engine.dispose()


# --- mailboxes that refuse ----------------------------------------------------------------------------------------


def test_three_refusals_for_good_suspend_an_address(house: House) -> None:
    """A mailbox that is gone is written to three times and no more; asking anew brings it back."""
    house.subscribe(ADA)
    house.mailbox.refuses = lambda address: address == ADA
    for _ in range(3):
        assert house.state() is SubscriberState.CONFIRMED
        house.tell()
        house.deliver()
        house.at += timedelta(hours=1)
    assert house.state() is SubscriberState.SUSPENDED
    house.mailbox.refuses = lambda address: False
    house.tell()
    assert house.deliver() == []

    house.subscribe(ADA)
    house.tell()
    assert len(house.deliver()) == 1


def test_configured_recipients_and_subscribers_are_told_once(house: House) -> None:
    """An address that is both gets one mail; once it leaves by its link it gets none, whatever the configuration says."""
    assert house.config.email is not None
    recipients = [{"address": "Ada@Example.net"}, {"address": "desk@example.net"}]
    both = Email.model_validate(house.config.email.model_dump(by_alias=True) | {
        "recipients": recipients, "password": "open sesame", "security": Security.STARTTLS})  # fmt: skip
    house.config = house.config.model_copy(update={"email": both})
    house.ask(ADA)  # a stranger's question silences nobody
    house.tell()
    told = [to for to, message in house.deliver() if "Paintbox" in message["Subject"]]
    assert sorted(told) == ["Ada@Example.net", "desk@example.net"]

    choices = house.subscribe(ADA)
    house.tell()
    assert sorted(to for to, _ in house.deliver()) == [ADA, "desk@example.net"]
    house.post(choices, do="leave")
    house.tell()
    assert [to for to, _ in house.deliver()] == ["desk@example.net"]


# --- when nobody can subscribe ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sends", "says"), [(False, "no mail server is set up"), (True, "does not take new addresses")]
)
def test_a_closed_form_says_why_and_links_still_work(house: House, sends: bool, says: str) -> None:
    """Without mail, or when the operator closed it, the page says so; those who are subscribed can still leave."""
    choices = house.subscribe()
    feeds = wiring.feed_settings(house.config, wiring.identity_of(house.config, house.archive))
    with serving(web(house, feeds, sends=sends, open=False)) as base:
        assert says in words(house.get(f"{base}/subscribe"))
        assert house.post(f"{base}/subscribe", address="ben@example.net").status_code == 403
        assert house.post(base + urlsplit(choices).path, do="leave").status_code == 200
    assert house.state() is SubscriberState.LEFT
    assert [one.address for one in house.archive.subscribers.all()] == [ADA]


def test_all_together_may_ask_so_often(house: House) -> None:
    """However many networks ask, so many letters an hour are written and no more: the mail server keeps its good name."""
    feeds = wiring.feed_settings(house.config, wiring.identity_of(house.config, house.archive))
    limits = AskingLimits(overall=2, per_network=100)
    with serving(web(house, feeds, limits=limits)) as base:
        asked = [house.post(f"{base}/subscribe", address=f"r{number}@example.net") for number in range(3)]
    assert [answer.status_code for answer in asked] == [303, 303, 429]
    assert asked[2].headers["Retry-After"] == "3600"


def test_links_are_not_made_without_the_secret(house: House) -> None:
    """Two archives never know each other's links, and nothing in a link gives the address away."""
    signer = wiring.signer_of(wiring.identity_of(house.config, house.archive))
    foreign = publish.signed.Signer("another secret")
    house.subscribe()
    found = house.archive.subscribers.by_address(ADA)
    assert found is not None
    assert signer.read(Purpose.LEAVE, foreign.token(Purpose.LEAVE, found.handle), NOW) is None
    assert house.post(f"{house.base}/unsubscribe/{foreign.token(Purpose.LEAVE, found.handle)}").status_code == 404
    assert house.state() is SubscriberState.CONFIRMED


def test_nothing_waits_for_nobody(house: House) -> None:
    """A round without letters and alerts delivers nothing and opens no connection."""
    with ExitStack() as stack:
        assert house.ways(stack).letters[MAIL](lambda: False) == Delivered()


# --- the operator's command line ----------------------------------------------------------------------------------


@dataclass
class Desk:
    """The command line over a configuration with that mail server."""

    folder: Path
    mailbox: Mailbox
    capture: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        code = cli.run(["--config", str(self.folder / "config.yaml"), *arguments])
        out, err = self.capture.readouterr()
        return code, out, err


@pytest.fixture
def desk(
    tmp_path: Path, certificate: tuple[Path, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    mailbox = Mailbox()
    monkeypatch.setenv("TOSMON_SMTP_PASSWORD", "open sesame")
    with mail_server(mailbox, certificate) as port:
        (tmp_path / "config.yaml").write_text(
            f"""
services:
  Paintbox:
    terms: {{Terms of Service: https://paintbox.example/terms}}
email:
  host: 127.0.0.1
  port: {port}
  user: tosmon
  ca_file: {certificate[1]}
  from: alerts@example.org
  recipients: [desk@example.net]
feeds: {{site_url: https://terms.example}}
"""
        )
        yield Desk(tmp_path, mailbox, capsys)


def test_the_operator_subscribes_someone_who_is_asked(desk: Desk) -> None:
    """`tosmon subscribe` sends the mail that asks at once; nobody is told anything before the yes."""
    code, _, said = desk(
        "subscribe", ADA, "--service", "paintbox", "--topic", "ai_training", "--severity", "medium", "--weekly",
        "--at", "18", "--on", "friday", "--zone", "Europe/Berlin",
    )  # fmt: skip
    [(recipient, question)] = desk.mailbox.take()

    assert code == 0 and "The mail is sent." in said
    assert recipient == ADA and link_in(question, "/subscribe/confirm/")
    assert "In one mail every Friday at 18:00 (Europe/Berlin)" in text_of(question) + said
    _, listed, summary = desk("subscribers")
    assert "a…@e….net" in listed and ADA not in listed and "1 asked" in summary


def test_the_clock_sends_letters_and_alerts(desk: Desk) -> None:
    """What `tosmon run` and `tosmon check` deliver is letters first, then alerts, over one channel."""
    config = load_config(desk.folder / "config.yaml", {"TOSMON_SMTP_PASSWORD": "open sesame"})
    with wiring.works_of(config) as works:
        works.world.archive.subscribers.ask(ADA, Choices(), works.world.clock())
        assert run.deliver_through(MAIL, works) == Delivered(sent=1)
        works.world.archive.subscribers.ask("ben@example.net", Choices(), works.world.clock())
        assert run.deliver(works) == Delivered(sent=1)
    assert [to for to, _ in desk.mailbox.take()] == [ADA, "ben@example.net"]


def test_the_operator_enrols_shows_and_erases(desk: Desk) -> None:
    """Someone who said yes already is asked nothing; their data can be shown, and erased."""
    assert desk("subscribe", ADA, "--daily", "--confirmed")[0] == 0
    assert desk.mailbox.take() == []
    [row] = json.loads(desk("subscribers", "--json")[1])
    assert (row["address"], row["state"], row["choices"]["frequency"]) == ("a…@e….net", "confirmed", "daily")
    assert ADA in desk("subscribers", "--addresses")[1]
    kept = json.loads(desk("subscribers", ADA.upper())[1])
    assert kept["address"] == ADA and kept["choices"]["frequency"] == "daily"

    assert desk("unsubscribe", ADA)[0] == 0
    assert json.loads(desk("subscribers", ADA)[1])["state"] == "left"
    assert desk("unsubscribe", ADA, "--erase")[0] == 0
    code, _, said = desk("subscribers", ADA)
    assert code == 1 and "is no subscriber" in said


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("nonsense",), 2, "one plain mail address"),
        ((ADA, "--zone", "Mars/Olympus"), 2, "is no time zone"),
        ((ADA, "--at", "24"), 2, "24"),
        ((ADA, "--topic", "cats"), 2, "is no topic"),
        ((ADA, "--service", "Nowhere"), 1, "is not tracked"),
    ],
)
def test_what_the_operator_cannot_mean_is_said(desk: Desk, arguments: tuple[str, ...], code: int, says: str) -> None:
    """A slip is told with what was expected, and nothing is written or sent."""
    ended, _, said = desk("subscribe", *arguments)
    assert ended == code and says in said
    assert desk.mailbox.take() == []


def test_mail_test_says_how_the_line_is(desk: Desk) -> None:
    """The set-up is proved step by step: the server, its TLS, the log-in, a mail."""
    code, _, said = desk("mail-test")
    assert code == 0 and "TLSv1." in said and "logged in as tosmon" in said and "desk@example.net: sent" in said
    assert [to for to, _ in desk.mailbox.take()] == ["desk@example.net"]


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (("user: tosmon", "user: nobody"), "TOSMON_SMTP_PASSWORD"),
        (("  ca_file", "  # ca_file"), "email.ca_file"),
        (("  user", "  security: none\n  user"), "email.security"),
        (("  user", "  security: tls\n  user"), "starttls"),
        (("host: 127.0.0.1", "host: no-such-host.invalid"), "There is no such host"),
    ],
)
def test_mail_test_names_the_setting_that_is_wrong(desk: Desk, change: tuple[str, str], hint: str) -> None:
    """Whatever keeps mail from going out is told with the setting to look at; the password never."""
    path = desk.folder / "config.yaml"
    path.write_text(path.read_text().replace(*change))
    code, _, said = desk("mail-test")
    assert code == 1 and hint in " ".join(said.split()), said
    assert "open sesame" not in said and desk.mailbox.take() == []
