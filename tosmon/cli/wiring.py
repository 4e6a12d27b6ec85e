"""How the parts of tosmon are put together from a configuration: once, here, for `check`, `run`, `serve` and the rest."""

from __future__ import annotations

import logging
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tosmon.cli import Settings
from tosmon.config import Config, Email, Politeness, Recipient, find_config, load_config
from tosmon.errors import ArchiveError, ConfigError
from tosmon.model import Alert, Form, Response, Severity, SourceDocument, Terms

if TYPE_CHECKING:
    from fastapi import FastAPI

    from tosmon.archive import Archive, Identity
    from tosmon.browser import Browser
    from tosmon.deliver import Channel, SmtpChannel
    from tosmon.fetch import Fetcher
    from tosmon.http import Client
    from tosmon.publish import FeedSettings, MailSettings
    from tosmon.run import Works

_log = logging.getLogger(__name__)

_SQLITE = "sqlite:///"
_RANK = {Severity.LOW: 0, Severity.MEDIUM: 1, Severity.HIGH: 2}


def now() -> datetime:
    """The clock: the only place of the command line that reads it."""
    return datetime.now(UTC)


def config_file(settings: Settings) -> Path:
    return find_config(settings.config, Path.cwd(), os.environ)


def config_of(settings: Settings) -> Config:
    """The configuration that the options name; raises ConfigError."""
    return load_config(config_file(settings), os.environ)


# --- what is declared ---------------------------------------------------------------------------------------------


def declared_terms(config: Config) -> list[Terms]:
    """Every document to track: those of the configuration, then those of its declaration folders that it has not."""
    from tosmon.declarations import read_declarations

    found = {terms.key: terms for terms in config.terms()}
    for folder in config.declarations:
        for terms in read_declarations(folder):
            if terms.key in found:
                _log.info("%s: %s is declared before; that one is used", folder, terms.key)
            else:
                found[terms.key] = replace(terms, interval=config.schedule.interval, tags=config.tags)
    return list(found.values())


def wanted(declared: Sequence[Terms], services: Sequence[str], kinds: Sequence[str] = ()) -> list[Terms]:
    """The documents of these services and types (all, where none is named), whatever their letter case.

    Raises ConfigError for a service that is not tracked, naming the nearest one.
    """
    asked = {service.casefold() for service in services}
    types = {kind.casefold() for kind in kinds}
    known = {name.casefold(): name for terms in declared for name in (terms.service_name, terms.key.service)}
    for service in services:
        if service.casefold() not in known:
            near = get_close_matches(service.casefold(), known, n=1)
            hint = f"; did you mean {known[near[0]]}?" if near else "; see: tosmon list"
            raise ConfigError(f"{service} is not tracked{hint}")
    return [
        terms
        for terms in declared
        if (not asked or asked & {terms.key.service.casefold(), terms.service_name.casefold()})
        and (not types or terms.key.type.casefold() in types)
    ]


# --- fetching ------------------------------------------------------------------------------------------------------


def client_of(politeness: Politeness, site_url: str | None) -> Client:
    from tosmon.http import Client, Limits, user_agent

    limits = Limits(
        connect_timeout=politeness.connect_timeout,
        read_timeout=politeness.read_timeout,
        total_timeout=politeness.total_timeout,
        max_bytes=politeness.max_bytes,
        max_redirects=politeness.max_redirects,
        user_agent=politeness.user_agent or user_agent(site_url, politeness.contact),
        allow_private_addresses=politeness.allow_private_addresses,
    )
    return Client(limits, clock=now)


def fetcher_of(politeness: Politeness, client: Client, browser: Browser | None = None) -> Fetcher:
    from tosmon.fetch import Fetcher

    return Fetcher(client, robots=politeness.robots, pause=politeness.pause, browser=browser)


def browser_of(client: Client) -> Browser:
    """The browser for pages that need one; it is started when the first of them comes, if one is installed at all."""
    from tosmon.browser import Browser

    limits = client.limits
    return Browser(client.connect, clock=now, user_agent=limits.user_agent, max_bytes=limits.max_bytes)


def looked_at(document: SourceDocument, settings: Settings, *, allow_private: bool = False) -> Response:
    """One look at a URL as the configuration would have it, if there is one; raises FetchError."""
    try:
        config = config_of(settings)
    except ConfigError:
        if settings.config is not None:
            raise
        config = Config()
    politeness = config.politeness
    if allow_private:
        politeness = politeness.model_copy(update={"allow_private_addresses": True})
    with ExitStack() as stack:
        client = client_of(politeness, config.feeds.site_url)
        stack.callback(client.close)
        browser = browser_of(client)
        stack.callback(browser.close)
        fetched = fetcher_of(politeness, client, browser).fetch(Form((document,)))
    if fetched.problem is not None:
        raise fetched.problem
    return fetched.responses[0]


# --- telling ---------------------------------------------------------------------------------------------------------

CHANNEL = "email"
"""The name under which notifications by mail stand in the outbox."""


def addressees_of(email: Email | None) -> Callable[[Alert], list[tuple[str, str]]]:
    """Who gets an alert, by which channel."""
    recipients = email.recipients if email else ()

    def addressees(alert: Alert) -> list[tuple[str, str]]:
        return list(dict.fromkeys((CHANNEL, one.address) for one in recipients if wants(one, alert)))

    return addressees


def wants(recipient: Recipient, alert: Alert) -> bool:
    """Whether an alert passes all of a recipient's filters."""
    topics = {flag.topic for flag in alert.flags}
    return (
        _RANK[alert.severity] >= _RANK[recipient.severity]
        and (not recipient.topics or not topics.isdisjoint(recipient.topics))
        and (not recipient.services or alert.service in recipient.services)
        and (not recipient.tags or not set(alert.tags).isdisjoint(recipient.tags))
    )


def smtp_channel(email: Email, mails: MailSettings) -> SmtpChannel:
    from tosmon.deliver import SmtpChannel, SmtpSettings

    smtp = SmtpSettings(
        host=email.host,
        port=email.smtp_port,
        security=email.security,
        user=email.user,
        password=email.password.get_secret_value() if email.password else None,
        timeout=email.timeout,
        per_minute=email.per_minute,
        ca_file=email.ca_file,
    )
    return SmtpChannel(smtp, mails, now)


def channels_of(config: Config, feeds: FeedSettings) -> Callable[[], AbstractContextManager[Mapping[str, Channel]]]:
    """What opens the configured ways of delivery for one round of it."""

    @contextmanager
    def channels() -> Iterator[Mapping[str, Channel]]:
        if config.email is None:
            yield {}
            return
        from tosmon.publish import MailSettings

        with smtp_channel(config.email, MailSettings(config.email.sender, feeds)) as channel:
            yield {CHANNEL: channel}

    return channels


def feed_settings(config: Config, identity: Identity) -> FeedSettings:
    from tosmon.publish import FeedSettings

    return FeedSettings(config.feeds.title, config.site_url, identity.authority, identity.started, hub=config.feeds.hub)


# --- the archive, and all of it --------------------------------------------------------------------------------------


def archive_exists(config: Config) -> bool:
    """Whether there is an archive to read; a database server is taken to have one."""
    return not config.archive.startswith(_SQLITE) or Path(config.archive.removeprefix(_SQLITE)).is_file()


@contextmanager
def opened_archive(config: Config) -> Iterator[Archive]:
    """The archive of a configuration, made and migrated as needed; raises ArchiveError."""
    from tosmon.archive import Archive

    archive = Archive(config.archive)
    try:
        yield archive
    finally:
        archive.close()


@contextmanager
def reading(settings: Settings) -> Iterator[tuple[Config, Archive]]:
    """For a command that reads: raises ArchiveError, saying how to have one, where there is no archive yet."""
    config = config_of(settings)
    if not archive_exists(config):
        raise ArchiveError("nothing is archived yet; look for the first time with: tosmon check")
    with opened_archive(config) as archive:
        yield config, archive


def identity_of(config: Config, archive: Archive) -> Identity:
    """What ids are made of: fixed by the first call ever, from the configuration or, where it says nothing, by chance."""
    site = _authority_in(config.feeds.site_url) if config.feeds.site_url else None
    return archive.identity(config.feeds.authority or site or f"{secrets.token_hex(6)}.tosmon.invalid", now().date())


def _authority_in(site_url: str) -> str | None:
    """The host of an address as a `tag:` URI takes it (RFC 4151): no bare IPv6, other scripts encoded."""
    host = urlsplit(site_url).hostname or ""
    try:
        encoded = host.encode("idna").decode("ascii")
    except UnicodeError:
        return None
    return encoded if encoded and re.fullmatch(r"[a-z0-9.-]+", encoded) else None


@contextmanager
def works_of(config: Config) -> Iterator[Works]:
    """Everything that looks and tells, with the configuration's documents declared to the archive."""
    from tosmon.archive import Snapshots
    from tosmon.judge import load_rules
    from tosmon.run import Works
    from tosmon.track.world import World

    declared = declared_terms(config)
    rules = load_rules(config.rules)
    with ExitStack() as stack:
        archive = stack.enter_context(opened_archive(config))
        archive.declare(declared, now())
        client = client_of(config.politeness, config.feeds.site_url)
        stack.callback(client.close)
        browser = browser_of(client)
        stack.callback(browser.close)
        identity = identity_of(config, archive)
        feeds = feed_settings(config, identity)
        world = World(
            archive=archive,
            snapshots=Snapshots(config.snapshots),
            fetcher=fetcher_of(config.politeness, client, browser),
            rules=rules,
            identity=identity,
            addressees=addressees_of(config.email),
            clock=now,
            confirm_after=config.schedule.confirm_after,
        )
        yield Works(
            world=world,
            declared={terms.key: terms for terms in declared},
            channels=channels_of(config, feeds),
            feeds=feeds,
            public=config.public,
            workers=config.schedule.workers,
        )


# --- the web -----------------------------------------------------------------------------------------------------------


def web_of(config: Config, archive: Archive, feeds: FeedSettings) -> FastAPI:
    """The web of the archive, which reads it and nothing else."""
    from tosmon.web import WebSettings, app

    settings = WebSettings(
        title=config.feeds.title,
        site_url=config.site_url,
        public=config.public,
        snapshots=config.snapshots,
        feeds=feeds,
        late_after=max(timedelta(hours=2), 2 * config.schedule.interval),
    )
    return app(archive, settings, now)
