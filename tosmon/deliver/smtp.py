"""Mail through one SMTP server: connect, log in, hand over, and sort its answers into permanent and temporary ones."""

from __future__ import annotations

import re
import smtplib
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import EmailMessage
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from tosmon.config import Security
from tosmon.deliver.channel import ChannelDown, RecipientRefused
from tosmon.errors import DeliveryError
from tosmon.model import Notification
from tosmon.publish import NO_WAYS_OUT, MailSettings, WaysOut, digest, mail
from tosmon.publish.text import line


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
    """Mail through one SMTP server, at its pace; a connection is opened at the first mail and used for all of a round.

    Call `close` at the end of a round: servers end idle connections. It lives as long as the process, so that the pace
    is kept from round to round and the certificates are read once.
    """

    def __init__(
        self,
        smtp: SmtpSettings,
        mails: MailSettings,
        now: Callable[[], datetime],
        *,
        ways_out: Callable[[Notification], WaysOut] = lambda notification: NO_WAYS_OUT,
        most_an_hour: int | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._smtp = smtp
        self._mails = mails
        self._now = now
        self._ways_out = ways_out
        self.most_an_hour = most_an_hour
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
        write = digest if notification.bundle else mail
        self.post(write(notification, self._mails, now=self._now(), ways_out=self._ways_out(notification)))

    def post(self, message: EmailMessage) -> None:
        """Hand over a mail that is written already, to the one it is for."""
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

    def greet(self) -> str:
        """Connect and log in, and say how that went; sends nothing. Raises ChannelDown."""
        sock = self._connected().sock
        if isinstance(sock, ssl.SSLSocket):
            certificate = sock.getpeercert() or {}
            how = f"{sock.version()}, a certificate that is good until {certificate.get('notAfter', 'some day')}"
        else:
            how = "no encryption"
        user = f"logged in as {self._smtp.user}" if self._smtp.user is not None else "no log-in"
        return line(f"{self._name}: connected, {how}, {user}")

    def _hand_over(self, connection: smtplib.SMTP, sender: str, recipient: str, message: bytes) -> None:
        options = ["SMTPUTF8"] if not recipient.isascii() or not sender.isascii() else []
        try:
            connection.sendmail(sender, [recipient], message, mail_options=options)
        except smtplib.SMTPRecipientsRefused as error:
            code, answer = error.recipients[recipient]
            refusal = self._refused(code, answer, "the recipient")
            raise (RecipientRefused(str(refusal)) if _no_such_recipient(code, answer) else refusal) from error
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
        context = self._tls if smtp.security is not Security.NONE else None
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

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        # Reading the system's 150 certificates takes 10 ms or more: once, not for each connection.
        return ssl.create_default_context(cafile=str(self._smtp.ca_file) if self._smtp.ca_file else None)

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


_STATUS = re.compile(r"\b5\.(\d{1,3})\.\d{1,3}\b")


def _no_such_recipient(code: int, answer: bytes | str) -> bool:
    """Whether the server will never take mail for that address; it may only be us, or this mail, that it refuses.

    RFC 3463: 5.1.x is about the address, 5.2.x about the mailbox, 5.7.x about our standing; most say at least 550 to 553.
    """
    words = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    status = _STATUS.search(words)
    return code in (550, 551, 553, 556) and (status is None or status[1] in ("1", "2", "0"))


def _answer(code: int, text: bytes | str) -> str:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return line(f"{code} {words}", 300)


def _words(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return _answer(error.smtp_code, error.smtp_error)
    return line(str(error) or type(error).__name__, 300)
