"""Empty the outbox: claim a notification, send it, settle it, one at a time.

Nothing is lost when this process dies at any point: what was claimed and not settled is claimed again when its lease
runs out, and goes out with the same Message-ID. Only a death between the last byte of a mail and the server's answer
can make a second copy. Knows no SQL (the archive keeps the outbox) and no layout (publish renders).
"""

from __future__ import annotations

import logging
import smtplib
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from tosmon.config import Security
from tosmon.errors import DeliveryError
from tosmon.model import Notification
from tosmon.publish import MailSettings, mail
from tosmon.publish.text import line

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=10)
"""How long a claim holds: longer than the slowest dialogue with a server (eight answers at 30 s each)."""


class Outbox(Protocol):
    """Where notifications wait; the archive has one."""

    def claim_notifications(self, now: datetime, limit: int, lease: timedelta) -> list[Notification]:
        """Up to `limit` notifications that are due, or whose claim has run out, oldest first; nobody else gets them
        until `now + lease`. `attempts` counts this one: 1 at the first."""
        ...

    def settle_sent(self, notification_id: int, now: datetime) -> None: ...

    def settle_failed(self, notification_id: int, now: datetime, error: str, retry_at: datetime | None) -> None:
        """Due again at `retry_at`; `None`: a dead letter that only the operator sends again."""
        ...


class Channel(Protocol):
    """A way to hand over notifications. `send` returns when the other side has taken it."""

    def send(self, notification: Notification) -> None:
        """Raises `DeliveryError`: permanent for this recipient, or `ChannelDown` when no recipient can be reached."""
        ...


class ChannelDown(DeliveryError):
    """The server itself cannot be used now (unreachable, refuses the log-in or the sender), whoever the recipient is."""

    def __init__(self, message: str) -> None:
        super().__init__(message, permanent=False)


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a run did: sent, failed and to be tried again, given up."""

    sent: int = 0
    failed: int = 0
    dead: int = 0


# Quick at first, as greylisting lets one in after five minutes; then as often as mail servers themselves try.
_WAITS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 10, 15, 30, 60, 120))
_SERVER_WAIT = timedelta(minutes=10)
PATIENCE = timedelta(days=5)
"""How long a notification is tried: RFC 5321, 4.5.4.1 asks for four to five days at least."""
_FEWEST_ATTEMPTS = 12


def retry_at(attempts: int, now: datetime, since: datetime, *, channel_down: bool = False) -> datetime | None:
    """When to try again what failed for the time being for the `attempts`-th time; `None` to give up.

    After 1, 5, 10, 15, 30 and 60 minutes, then every two hours; while a whole server is down, every ten minutes at the
    latest, as that costs one connection for all that waits. Given up five days after `since` (when it was written), but
    not before twelve attempts: a dead letter that the operator sends again has a chance of its own. There is no
    chance in the waits: one worker empties the outbox, and its own pace spreads the load.
    """
    if now - since > PATIENCE and attempts >= _FEWEST_ATTEMPTS:
        return None
    wait = _WAITS[min(attempts, len(_WAITS)) - 1]
    return now + (min(wait, _SERVER_WAIT) if channel_down else wait)


def deliver_due(
    outbox: Outbox,
    channels: Mapping[str, Channel],
    now: Callable[[], datetime],
    *,
    stop: Callable[[], bool] = lambda: False,
) -> Delivered:
    """Send everything that is due, and say what became of it.

    A failing recipient or channel holds up no other: after a first failure of a whole server its other notifications
    wait for their next turn without being tried. `stop` is asked between two notifications.
    """
    counts = {"sent": 0, "failed": 0, "dead": 0}
    down: dict[str, str] = {}
    while not stop():
        claimed = outbox.claim_notifications(now(), 1, LEASE)
        if not claimed:
            break
        for notification in claimed:
            counts[_deliver(outbox, channels, notification, now, down)] += 1
    return Delivered(**counts)


def _deliver(
    outbox: Outbox,
    channels: Mapping[str, Channel],
    notification: Notification,
    now: Callable[[], datetime],
    down: dict[str, str],
) -> str:
    error = _send(channels, notification, down)
    if error is None:
        outbox.settle_sent(notification.id, now())
        return "sent"
    at = now()
    again = None
    if not error.permanent:
        whole = isinstance(error, ChannelDown)
        again = retry_at(notification.attempts, at, notification.created_at, channel_down=whole)
    outbox.settle_failed(notification.id, at, line(str(error), 500), again)
    log.warning(
        "notification %d by %s not delivered (attempt %d): %s; %s",
        notification.id,
        notification.channel,
        notification.attempts,
        line(str(error), 200),
        f"next attempt {again:%Y-%m-%d %H:%M} UTC" if again else "given up",
    )
    return "failed" if again else "dead"


def _send(channels: Mapping[str, Channel], notification: Notification, down: dict[str, str]) -> DeliveryError | None:
    """Hand it over; an error is a value here, so that the one place that settles sees every end."""
    name = notification.channel
    if name in down:
        return ChannelDown(down[name])
    if name not in channels:
        return ChannelDown(f"no channel {name!r} is configured; configure it again, or drop its dead letters")
    try:
        channels[name].send(notification)
    except ChannelDown as error:
        down[name] = str(error)
        return error
    except DeliveryError as error:
        return error
    except Exception as error:
        # A notification that cannot be rendered is a bug, but it must not stand before all others for ever: it is
        # logged whole, tried again over days (a newer tosmon may mend it), and then lies among the dead letters.
        log.exception("notification %d by %s", notification.id, name)
        return DeliveryError(f"{type(error).__name__}: {error}", permanent=False)
    return None


# --- SMTP ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """How to reach a mail server. Its certificate is always verified, against `ca_file` if one is given."""

    host: str
    port: int
    security: Security = Security.STARTTLS
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout: timedelta = timedelta(seconds=30)
    per_minute: int | None = None
    ca_file: Path | None = None


class SmtpChannel:
    """Mail through one SMTP server; a connection is opened at the first mail and used for all of a run.

    Use it as a context manager, or call `close` at the end of a run: servers end idle connections.
    """

    def __init__(
        self,
        smtp: SmtpSettings,
        mails: MailSettings,
        now: Callable[[], datetime],
        *,
        unsubscribe_url: Callable[[Notification], str | None] = lambda notification: None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._smtp = smtp
        self._mails = mails
        self._now = now
        self._unsubscribe_url = unsubscribe_url
        self._monotonic = monotonic
        self._sleep = sleep
        self._connection: smtplib.SMTP | None = None
        self._last_sent: float | None = None
        self._broken_in_a_row = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take leave of the server, if it is still there."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.quit()
            except (smtplib.SMTPException, OSError):
                connection.close()

    def send(self, notification: Notification) -> None:
        """Hand over one mail. Refused recipients and contents are permanent errors, all else is worth another try."""
        message = mail(notification, self._mails, now=self._now(), unsubscribe_url=self._unsubscribe_url(notification))
        sender = message["From"].addresses[0].addr_spec
        recipient = message["To"].addresses[0].addr_spec
        self._keep_pace()
        connection = self._connected()
        try:
            self._hand_over(connection, sender, recipient, message.as_bytes())
        except (smtplib.SMTPServerDisconnected, OSError) as error:  # OSError: time-outs and resets
            self._drop()
            self._broken_in_a_row += 1
            text = f"{self._name}: the connection broke while sending: {_words(error)}"
            # Once may be this mail's fault, twice is the server's.
            raise (ChannelDown(text) if self._broken_in_a_row > 1 else DeliveryError(text, permanent=False)) from error
        self._broken_in_a_row = 0

    def _hand_over(self, connection: smtplib.SMTP, sender: str, recipient: str, message: bytes) -> None:
        options = ["SMTPUTF8"] if not recipient.isascii() or not sender.isascii() else []
        try:
            connection.sendmail(sender, [recipient], message, mail_options=options)
        except smtplib.SMTPRecipientsRefused as error:
            code, answer = error.recipients[recipient]
            raise self._refused(code, answer, "the recipient") from error
        except smtplib.SMTPDataError as error:
            raise self._refused(error.smtp_code, error.smtp_error, "the mail") from error
        except smtplib.SMTPSenderRefused as error:
            # 5xx here is about us, not about whom we write to: the operator mends it and nothing was lost.
            self._drop_if_closing(error.smtp_code)
            raise ChannelDown(
                f"{self._name} refuses the sender {sender}: {_answer(error.smtp_code, error.smtp_error)}"
            ) from error
        except smtplib.SMTPNotSupportedError as error:
            raise DeliveryError(f"{self._name} takes no addresses beyond ASCII", permanent=True) from error

    def _refused(self, code: int, answer: bytes | str, what: str) -> DeliveryError:
        self._drop_if_closing(code)
        text = f"{self._name} refuses {what}: {_answer(code, answer)}"
        return ChannelDown(text) if code == 421 else DeliveryError(text, permanent=500 <= code < 600)

    def _drop_if_closing(self, code: int) -> None:
        if code == 421:  # "closing transmission channel"
            self._drop()

    def _connected(self) -> smtplib.SMTP:
        if self._connection is not None and not _answers(self._connection):
            self._drop()  # it takes no more mails over one connection, or we were idle for too long
        if self._connection is None:
            try:
                self._connection = self._connect()
            except (smtplib.SMTPException, OSError) as error:
                raise ChannelDown(f"{self._name}: {_words(error)}") from error
        return self._connection

    def _connect(self) -> smtplib.SMTP:
        smtp, timeout = self._smtp, self._smtp.timeout.total_seconds()
        context = ssl.create_default_context(cafile=str(smtp.ca_file) if smtp.ca_file else None)
        own_name = self._mails.feeds.host  # smtplib would ask DNS for it, which can take its time
        connection: smtplib.SMTP
        if smtp.security is Security.TLS:
            connection = smtplib.SMTP_SSL(smtp.host, smtp.port, own_name, timeout=timeout, context=context)
        else:
            connection = smtplib.SMTP(smtp.host, smtp.port, own_name, timeout=timeout)
        try:
            if smtp.security is Security.STARTTLS:
                connection.starttls(context=context)
            if smtp.user is not None:
                connection.login(smtp.user, smtp.password or "")
        except BaseException:
            connection.close()
            raise
        return connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _keep_pace(self) -> None:
        """Wait until the server's limit allows the next mail."""
        if self._smtp.per_minute and self._last_sent is not None:
            wait = self._last_sent + 60 / self._smtp.per_minute - self._monotonic()
            if wait > 0:
                self._sleep(wait)
        self._last_sent = self._monotonic()

    @property
    def _name(self) -> str:
        return f"SMTP server {self._smtp.host}:{self._smtp.port}"


def _answers(connection: smtplib.SMTP) -> bool:
    try:
        return connection.noop()[0] == 250
    except (smtplib.SMTPException, OSError):
        return False


def _answer(code: int, text: bytes | str) -> str:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return line(f"{code} {words}", 300)


def _words(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return _answer(error.smtp_code, error.smtp_error)
    return line(str(error) or type(error).__name__, 300)
