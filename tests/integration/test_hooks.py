"""Hooks, called over real HTTP: signed, tried again under the same key, never led astray, harmless whatever they carry."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import TypeAdapter
from test_outbox import tell

from tosmon.archive import Archive
from tosmon.cli import tosmon
from tosmon.config import config_from, load_config
from tosmon.deliver import Channel, ChannelDown, Delivered, TryLater, deliver_due
from tosmon.deliver.hooks import AppriseChannel, WebhookChannel
from tosmon.errors import ConfigError, DeliveryError
from tosmon.http import Client, Limits, addresses
from tosmon.model import (
    Addressee,
    Alert,
    AlertKind,
    ClauseChangeKind,
    Direction,
    Edit,
    EditKind,
    Flag,
    Notification,
    NotificationState,
    Passage,
    Quote,
    Severity,
)
from tosmon.publish import FeedSettings
from tosmon.publish.hook import HookAlert, chat_message, hook_schema

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 10, 21, 14, 0, tzinfo=UTC)
FEEDS = FeedSettings("Terms we live by", "https://terms.example", "example.org", date(2026, 1, 31))
SECRET = "open sesame"
TRAINING = "You allow us to train AI models on your pictures."
ALERT = Alert(
    uid="tag:example.org,2026-01-31:change/12",
    kind=AlertKind.CHANGE,
    at=NOW,
    service="Paintbox",
    service_name="Paintbox",
    type="Terms of Service",
    url="https://paintbox.example/terms",
    headline="Paintbox Terms of Service: may train AI models on your content",
    severity=Severity.HIGH,
    effective_date=date(2026, 11, 15),
    flags=(
        Flag(
            "ai_training", Direction.WORSE, "May train AI models on your content",
            after=(Quote(TRAINING, 4, 0, len(TRAINING), ("Your pictures",)),),
        ),
    ),
    passages=(Passage(ClauseChangeKind.ADDED, (Edit(EditKind.ADDED, TRAINING),), ("Your pictures",), 4),),
    change_id=12,
    evidence=("3f8a0c1d" * 8,),
)  # fmt: skip


def notification(alert: Alert = ALERT, *more: Alert) -> Notification:
    return Notification(1, alert, "hook:desk", "desk", "<abc@example.org>", 1, NOW, "flood" if more else "", more)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = Archive(f"sqlite:///{tmp_path}/archive.sqlite")
    yield opened
    opened.close()


@dataclass
class Receiver:
    """The other side: keeps what it is sent, and answers as it is told."""

    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    calls: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    def answer(self) -> tuple[int, dict[str, str]]:
        return self.answers.pop(0) if self.answers else (204, {})


@contextmanager
def receiving(*answers: tuple[int, dict[str, str]]) -> Iterator[Receiver]:
    receiver = Receiver(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.calls.append((self.path, dict(self.headers.items()), body))
            status, headers = receiver.answer()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *arguments: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}/terms?token=hush"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def channel() -> Iterator[Callable[..., WebhookChannel]]:
    """Makes the channel of a webhook; private addresses are allowed unless it is told otherwise."""
    clients: list[Client] = []

    def made(url: str, *, private: bool = True, at: datetime = NOW) -> WebhookChannel:
        limits = Limits(allow_private_addresses=private, read_timeout=timedelta(seconds=5))
        clients.append(Client(limits, clock=lambda: NOW, environment={}))
        return WebhookChannel(url, SECRET, clients[-1], FEEDS, lambda: at)

    yield made
    for client in clients:
        client.close()


# --- what arrives -------------------------------------------------------------------------------------------------


def test_call_is_signed_over_time_and_body(channel: Callable[..., WebhookChannel]) -> None:
    """The other side can prove who called, when, and that nothing was changed on the way."""
    with receiving() as receiver:
        channel(receiver.url).send(notification())

    [(path, headers, body)] = receiver.calls
    stamp = headers["Tosmon-Timestamp"]
    wanted = hmac.new(SECRET.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers["Tosmon-Signature"] == f"v1={wanted}"
    assert int(stamp) == NOW.timestamp() and path == "/terms?token=hush"
    assert headers["Idempotency-Key"] == "abc@example.org"
    assert headers["Content-Type"] == "application/json; charset=utf-8"


def test_body_says_what_changed_and_fits_its_schema(channel: Callable[..., WebhookChannel]) -> None:
    """Everything an alert holds is there, and nothing that the schema does not know."""
    with receiving() as receiver:
        channel(receiver.url).send(notification())

    body = json.loads(receiver.calls[0][2])
    assert TypeAdapter(HookAlert).validate_json(receiver.calls[0][2])
    assert body.keys() == set(hook_schema()["properties"]) == set(hook_schema()["required"])
    assert (body["id"], body["severity"], body["effective_date"]) == (ALERT.uid, "high", "2026-11-15")
    assert body["flags"][0]["after"] == [{"text": TRAINING, "headings": ["Your pictures"]}]
    assert body["links"]["change"] == "https://terms.example/changes/12"


def test_schema_in_the_documentation_is_the_one_in_use() -> None:
    """Whoever writes the other side reads docs/hook-schema.json."""
    assert json.loads((ROOT / "docs/hook-schema.json").read_text(encoding="utf-8")) == hook_schema()


# --- what is tried again ------------------------------------------------------------------------------------------


def test_failed_call_comes_again_under_the_same_key(archive: Archive, channel: Callable[..., WebhookChannel]) -> None:
    """A receiver in trouble gets the same body and key later, with a new time and signature."""
    tell(archive, [Addressee("hook:desk", "desk")])
    with receiving((500, {}), (200, {})) as receiver:
        assert deliver(archive, channel(receiver.url), NOW) == Delivered(failed=1)
        later = NOW + timedelta(minutes=1)
        assert deliver(archive, channel(receiver.url, at=later), later) == Delivered(sent=1)

    (_, first, body), (_, second, again) = receiver.calls
    assert body == again and first["Idempotency-Key"] == second["Idempotency-Key"]
    assert first["Tosmon-Signature"] != second["Tosmon-Signature"]


def deliver(archive: Archive, hook: Channel, at: datetime) -> Delivered:
    return deliver_due(archive.outbox, {"hook:desk": hook}, lambda: at)


@pytest.mark.parametrize("status", [400, 410, 422])
def test_refused_alert_is_a_dead_letter(archive: Archive, channel: Callable[..., WebhookChannel], status: int) -> None:
    """What the other side will never take is given up and listed, without the token of its URL."""
    tell(archive, [Addressee("hook:desk", "desk")])
    with receiving((status, {})) as receiver:
        assert deliver(archive, channel(receiver.url), NOW) == Delivered(dead=1)

    [dead] = archive.outbox.notifications(NotificationState.DEAD)
    assert str(status) in dead.error and "hush" not in dead.error


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_receiver_that_is_not_ready_has_days(channel: Callable[..., WebhookChannel], status: int) -> None:
    """A page that is not there yet, or a log-in that is wrong today, loses no alert."""
    with receiving((status, {})) as receiver, pytest.raises(DeliveryError, match=str(status)) as told:
        channel(receiver.url).send(notification())
    assert not told.value.permanent


def test_receiver_that_asks_for_patience_gets_it(channel: Callable[..., WebhookChannel]) -> None:
    """Retry-After is kept."""
    with receiving((429, {"Retry-After": "3600"})) as receiver, pytest.raises(TryLater) as told:
        channel(receiver.url).send(notification())
    assert told.value.wait == timedelta(hours=1)


# --- where it may lead --------------------------------------------------------------------------------------------


def test_private_address_is_refused_unless_allowed(channel: Callable[..., WebhookChannel]) -> None:
    """A hook of the public archive cannot be made to call what stands beside it."""
    with receiving() as receiver:
        for url in (receiver.url, receiver.url.replace("127.0.0.1", "localhost"), "http://[::ffff:10.0.0.1]/x"):
            with pytest.raises(ChannelDown, match="allow_private_addresses") as told:
                channel(url, private=False).send(notification())
            assert "hush" not in str(told.value)
    assert receiver.calls == []


def test_redirect_is_not_followed(channel: Callable[..., WebhookChannel]) -> None:
    """What was signed for one place goes to no other, private or public."""
    with receiving() as inside, receiving((307, {"Location": inside.url})) as receiver:
        with pytest.raises(DeliveryError, match="not followed"):
            channel(receiver.url).send(notification())
        assert (len(receiver.calls), inside.calls) == (1, [])


@pytest.mark.parametrize("url", ["file:///etc/passwd", "gopher://x.example/", "http://", "http://[::1/"])
def test_other_schemes_are_refused(channel: Callable[..., WebhookChannel], url: str) -> None:
    """Only http and https lead anywhere."""
    with pytest.raises(DeliveryError):
        channel(url).send(notification())


# --- chats --------------------------------------------------------------------------------------------------------


def _public(host: str, port: int) -> None:
    addresses.checked(host, host, port, allow_private=False)


def test_chat_gets_the_headline_and_the_sentence() -> None:
    """Through apprise a chat reads what, from when, which way, the words, and where to read on."""
    with receiving((200, {})) as receiver:
        url = receiver.url.replace("http://", "json://")
        AppriseChannel(url, None, FEEDS, 20).send(notification())

    said = json.loads(receiver.calls[0][2])
    assert said["title"] == "HIGH · Paintbox Terms of Service: may train AI models on your content"
    for words in ("Applies from 15 November 2026", "Worse for you", TRAINING, "https://terms.example/changes/12"):
        assert words in said["message"]


def test_chat_in_a_private_network_is_refused_unless_allowed() -> None:
    """The host of an apprise URL is looked at before each message."""
    with receiving() as receiver:
        url = receiver.url.replace("http://", "json://")
        with pytest.raises(ChannelDown, match="allow_private_addresses"):
            AppriseChannel(url, _public, FEEDS, 20).send(notification())
    assert receiver.calls == []


def test_chat_that_takes_nothing_says_why_without_its_token() -> None:
    """The reason that apprise logs is kept; what may be a secret is not."""
    with receiving((500, {})) as receiver, pytest.raises(DeliveryError, match="apprise: not taken") as told:
        AppriseChannel(receiver.url.replace("http://", "json://"), None, FEEDS, 20).send(notification())
    assert "hush" not in str(told.value) and not told.value.permanent


@pytest.mark.parametrize("url", ["syslog://", "dbus://", "nonsense://x", "no url"])
def test_apprise_url_that_tells_nobody_is_refused(url: str) -> None:
    """What acts on this machine, or is unknown, is said at the start."""
    with pytest.raises(DeliveryError):
        AppriseChannel(url, None, FEEDS, 20)


# --- hostile text -------------------------------------------------------------------------------------------------

HOSTILE = "<script>alert(1)</script>\x00\x1b[31m\r\nBcc: victim@example.net\u202egnp.exe " + "A" * 1_000_000


def hostile() -> Alert:
    return replace(
        ALERT,
        headline=HOSTILE,
        service_name=HOSTILE,
        type=HOSTILE[:400],
        summary=HOSTILE,
        tags=(HOSTILE,) * 50,
        flags=(Flag("ai_training", Direction.WORSE, HOSTILE, (Quote(HOSTILE, 1, 0, 9, (HOSTILE,) * 9),), ()),) * 40,
        passages=(Passage(ClauseChangeKind.MODIFIED, (Edit(EditKind.ADDED, HOSTILE),) * 2, (HOSTILE,), 1),) * 2,
        corrects=HOSTILE,
        evidence=(HOSTILE,),
        url="javascript:alert(1)",
    )


def test_hostile_text_is_harmless_in_a_webhook(channel: Callable[..., WebhookChannel]) -> None:
    """Control characters and overrides are gone, a megabyte is cut, and no header comes from a text."""
    with receiving() as receiver:
        channel(receiver.url).send(notification(hostile()))

    [(_, headers, body)] = receiver.calls
    assert "Bcc" not in headers and len(body) < 5_000_000
    texts = json.dumps(json.loads(body), ensure_ascii=False)
    assert not any(bad in texts for bad in ("\\u0000", "\\u001b", "\u202e", "\\r", "\\n"))
    assert json.loads(body)["links"]["source"] is None


def test_hostile_text_is_harmless_in_a_chat() -> None:
    """Title and text of a message are short, on their own lines, and hold no control characters."""
    for told in (notification(hostile()), notification(hostile(), *[hostile()] * 2)):
        title, text = chat_message(told, FEEDS)
        assert len(title) <= 300 and len(text) < 20_000 and "\n" not in title
        assert not any(bad in title + text for bad in ("\x00", "\x1b", "\r", "\u202e"))
        assert "\nBcc:" not in text


def test_words_of_a_platform_call_nobody_in_a_chat() -> None:
    """Quoted words read as before, and are no mention, no markup and no address."""
    words = "@everyone <!channel> [Log in](https://evil.example) at www.evil.example or evil.example"
    alert = replace(notification().alert, headline=words, type=words, flags=(), passages=())
    title, text = chat_message(notification(alert), FEEDS)
    summed = chat_message(notification(alert, alert), FEEDS)[1]

    for shown in (title, text.removesuffix("https://terms.example/changes/12"), summed.replace("https://terms.", "")):
        assert not any(bad in shown for bad in ("@everyone", "<!", "](", "https://", "www.", "evil.example"))
    assert words[:40] in title.replace("\u200d", "")


# --- configuration ------------------------------------------------------------------------------------------------


def configuration(folder: Path, url: str, more: str = "") -> Path:
    path = folder / "config.yaml"
    path.write_text(
        f"archive: sqlite:///{folder}/archive.sqlite\n"
        f"hooks:\n  - {{name: news-desk, url: '{url}', severity: medium, allow_private_addresses: true{more}}}\n"
    )
    return path


def hook_test(path: Path, *names: str, **environment: str) -> tuple[int, str]:
    # The exit code comes back as a value outside standalone mode.
    result = CliRunner().invoke(
        tosmon, ["--config", str(path), "hook-test", *names], env=environment, standalone_mode=False
    )
    code = result.return_value if result.exception is None else 1
    return code or 0, result.output + str(result.exception or "")


def test_hook_test_proves_a_hook(tmp_path: Path) -> None:
    """One invented alert, signed with the secret of the environment, says whether it arrives."""
    with receiving((204, {}), (500, {})) as receiver:
        path = configuration(tmp_path, receiver.url)
        code, said = hook_test(path, TOSMON_HOOK_NEWS_DESK_SECRET=SECRET)
        assert (code, "hook:news-desk: taken" in said) == (0, True)
        code, said = hook_test(path, "news-desk", TOSMON_HOOK_NEWS_DESK_SECRET=SECRET)
        assert (code, "answers 500" in said) == (1, True)
    assert len(receiver.calls) == 2


def test_hook_without_a_secret_is_not_used(tmp_path: Path) -> None:
    """Nothing goes out unsigned: the missing variable is named."""
    code, said = hook_test(configuration(tmp_path, "https://desk.example/x"))
    assert code == 1 and "TOSMON_HOOK_NEWS_DESK_SECRET" in said


def test_secret_in_the_file_is_refused(tmp_path: Path) -> None:
    """A secret that stands in a file ends up in backups and chats."""
    with pytest.raises(ConfigError, match="TOSMON_HOOK_NEWS_DESK_SECRET") as told:
        load_config(configuration(tmp_path, "https://desk.example/x", ", secret: hush"), {})
    assert "hush" not in str(told.value)


def test_hook_may_get_its_address_from_the_environment_or_a_file(tmp_path: Path) -> None:
    """An address with a token never stands in the configuration, and is not shown with it."""
    (tmp_path / "url").write_text("https://desk.example/T0KEN\n")
    environment = {"TOSMON_HOOK_DESK_URL_FILE": str(tmp_path / "url"), "TOSMON_HOOK_DESK_SECRET": SECRET}
    ways: tuple[object, ...] = ({"desk": {}}, [{"name": "desk"}])
    for hooks in ways:
        [hook] = config_from({"hooks": hooks}, tmp_path, environment).hooks
        assert hook.address == "https://desk.example/T0KEN"
        assert hook.secret is not None and hook.secret.get_secret_value() == SECRET
        assert "T0KEN" not in repr(hook) + hook.model_dump_json() and SECRET not in repr(hook)


def test_two_hooks_of_one_name_are_refused(tmp_path: Path) -> None:
    """What waits in the outbox goes by the name."""
    with pytest.raises(ConfigError, match="two hooks called desk"):
        config_from({"hooks": [{"name": "desk"}, {"name": "desk"}]}, tmp_path, {})


def test_hooks_get_what_passes_their_filters() -> None:
    """A hook for high severity hears of nothing else; mail goes its own way."""
    from tosmon.cli.hooking import hook_addressees

    hooks = config_from({"hooks": {"loud": {"severity": "high"}, "all": {}}}, ROOT, {}).hooks
    told = hook_addressees(hooks, lambda alert: [Addressee("email", "ada@example.net")])

    assert [one.channel for one in told(ALERT)] == ["email", "hook:loud", "hook:all"]
    assert [one.channel for one in told(replace(ALERT, severity=Severity.LOW))] == ["email", "hook:all"]
