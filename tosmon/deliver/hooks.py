"""Hooks: hand an alert to a program (a signed POST) or, through apprise, to a chat or a phone.

Where a hook leads is the operator's word, but it is checked like any address: no private network unless that is
allowed, no redirect followed. Each hook is a channel of its own, so that one that fails holds up no other.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from tosmon.deliver.channel import ChannelDown, TryLater
from tosmon.errors import DeliveryError, FetchError, FetchProblem
from tosmon.http import Client, retry_after
from tosmon.model import Notification, Response
from tosmon.publish import FeedSettings
from tosmon.publish.hook import chat_message, hook_body, hook_headers
from tosmon.publish.text import line

_REFUSED = frozenset({400, 410, 413, 414, 415, 422})
"""Answers that mean: never this alert, however often. All others (a log-in that is not set up yet, a page that is not
there yet, a server in trouble) may be mended within days."""


class WebhookChannel:
    """POSTs each alert as JSON to one URL, signed with a secret that both sides know."""

    most_an_hour: int | None = None  # programs ask for no digests

    def __init__(
        self, url: str, secret: str, client: Client, settings: FeedSettings, now: Callable[[], datetime]
    ) -> None:
        """Raises DeliveryError for what is no address. It is not repeated: hooks carry their secrets in it."""
        try:
            self._host = urlsplit(url).hostname or "the hook"
        except ValueError as error:  # "http://[::1/"
            raise DeliveryError("its URL is no address on the web", permanent=False) from error
        self._url = url
        self._secret = secret
        self._client = client
        self._settings = settings
        self._now = now

    def send(self, notification: Notification) -> None:
        body = hook_body(notification, self._settings)
        headers = hook_headers(notification, body, self._secret, self._now())
        try:
            answer = self._client.post(self._url, body, headers)
        except FetchError as error:
            raise self._unreachable(error) from error
        self._judge(answer)

    def close(self) -> None:
        """Connections are the client's, which lives as long as we."""

    def _unreachable(self, error: FetchError) -> DeliveryError:
        # Not the URL: many carry a token, and errors are shown.
        words = str(error).removeprefix(error.url).lstrip(": ")
        if error.problem is FetchProblem.FORBIDDEN_ADDRESS:
            words = "no public address; if that is meant, set allow_private_addresses for this hook"
        return ChannelDown(line(f"hook at {self._host}: {words}"))

    def _judge(self, answer: Response) -> None:
        status = answer.status
        if 200 <= status < 300:
            return
        said = line(answer.body[:300].decode("utf-8", "replace"), 120)
        words = f"hook at {self._host} answers {status}{f': {said}' if said else ''}"
        if 300 <= status < 400:
            words = f"hook at {self._host} redirects ({status}), which is not followed: configure the final address"
        if status in _REFUSED:
            raise DeliveryError(words, permanent=True)
        raise TryLater(words, retry_after(answer))


class AppriseChannel:
    """Hands each alert to one of the services that apprise knows (chats, phones, …)."""

    def __init__(
        self, url: str, check: Callable[[str, int], None] | None, settings: FeedSettings, most_an_hour: int | None
    ) -> None:
        """`check` raises FetchError for an address that must not be reached; `None` allows all.

        Raises DeliveryError when apprise is not installed or does not know such a URL.
        """
        self.most_an_hour = most_an_hour
        self._settings = settings
        self._check = check
        self._service, self._chat = _apprise_service(url)

    def send(self, notification: Notification) -> None:
        self._check_host()
        title, text = chat_message(notification, self._settings)
        with _Overheard() as overheard:
            taken = self._chat.notify(title=title, body=text, body_format="text")
        if not taken:
            raise DeliveryError(f"apprise: not taken: {overheard.words(self._service)}", permanent=False)

    def close(self) -> None:
        """Nothing stays open."""

    def _check_host(self) -> None:
        """Where the service is a host of the operator's choice, look at its address first.

        apprise opens the connection itself, later and by its own look-up, and follows redirects: a name that changes
        in between, or a host that redirects, is not caught (docs/hooks.md).
        """
        host = getattr(self._service, "host", None)
        if self._check is None or not isinstance(host, str) or not host:
            return
        port = getattr(self._service, "port", None) or (443 if getattr(self._service, "secure", False) else 80)
        try:
            self._check(host, int(port))
        except FetchError as error:
            raise ChannelDown(
                f"apprise: {line(host, 100)}: {error.problem.value}; if that is meant, set allow_private_addresses"
            ) from error


def _apprise_service(url: str) -> tuple[Any, Any]:
    """A service of apprise, and what talks to it: that alone writes our plain text as the service's HTML or Markdown."""
    scheme = url.partition("://")[0]
    if scheme.casefold() in _FORBIDDEN_SCHEMES:
        raise DeliveryError(f"apprise: {line(scheme, 20)} runs programs or writes files here", permanent=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of its hundred plugins use what newer Pythons drop
        try:
            import apprise
        except ImportError as error:
            raise DeliveryError("apprise is not installed; install tosmon[hooks]", permanent=False) from error
        service = apprise.Apprise.instantiate(url)
    if service is None:
        raise DeliveryError(f"apprise knows no such URL (it begins with {line(scheme, 20)!r})", permanent=False)
    chat = apprise.Apprise()
    chat.add(service)
    return service, chat


# What acts on this machine instead of telling someone.
_FORBIDDEN_SCHEMES = frozenset({"file", "syslog", "dbus", "kde", "qt", "glib", "gnome", "macosx", "windows"})
_TOKEN = re.compile(r"[A-Za-z0-9_\-]{16,}")


class _Overheard(logging.Handler):
    """What apprise logs while it is at work: its only way to say why something was not taken."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said: list[str] = []
        self._log = logging.getLogger("apprise")

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(TypeError, ValueError):
            self._said.append(record.getMessage())

    def __enter__(self) -> _Overheard:
        self._log.addHandler(self)
        return self

    def __exit__(self, *error: object) -> None:
        self._log.removeHandler(self)

    def words(self, service: Any) -> str:
        """The first thing it said, without what may be a secret of the URL."""
        return line(_TOKEN.sub("…", self._said[0]), 200) if self._said else f"{service.service_name} gave no reason"
