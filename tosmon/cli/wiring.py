"""How the parts of tosmon are put together from a configuration: once, here, for `check`, `run`, `serve` and the rest."""

from __future__ import annotations

import logging
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode, urlsplit

from tosmon.cli import Settings
from tosmon.config import Config, Email, Hook, Politeness, Recipient, find_config, load_config
from tosmon.errors import ArchiveError, ConfigError, FetchError
from tosmon.model import (
    MAIL,
    Addressee,
    Alert,
    Choices,
    Form,
    Letter,
    LetterKind,
    Notification,
    Response,
    SourceDocument,
    SubscriberState,
    Terms,
    TermsKey,
)

if TYPE_CHECKING:
    from email.message import EmailMessage

    from fastapi import FastAPI

    from tosmon.archive import Archive, Identity
    from tosmon.browser import Browser
    from tosmon.deliver import Channel, Delivered, SmtpChannel
    from tosmon.fetch import Fetcher
    from tosmon.http import Client
    from tosmon.publish import FeedSettings, MailSettings, WaysOut
    from tosmon.publish.signed import Signer
    from tosmon.run import Works
    from tosmon.web import Operator

_log = logging.getLogger(__name__)

_SQLITE = "sqlite:///"
_DECIDING = (SubscriberState.CONFIRMED, SubscriberState.LEFT, SubscriberState.SUSPENDED)


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

    The beginning of a type is enough. Raises ConfigError for a service that is not tracked, naming the nearest one, and
    for a type that is none, naming those there are.
    """
    asked = {service.casefold() for service in services}
    names_known(services, [name for terms in declared for name in (terms.service_name, terms.key.service)])
    found = [
        terms
        for terms in declared
        if not asked or asked & {terms.key.service.casefold(), terms.service_name.casefold()}
    ]
    types = {type_meant(kind, [terms.key.type for terms in found], ", ".join(services)) for kind in kinds}
    return [terms for terms in found if not types or terms.key.type in types]


def names_known(services: Sequence[str], names: Sequence[str]) -> None:
    """Raise ConfigError for a service that has none of these names (in any letter case), naming the nearest one."""
    known = {name.casefold(): name for name in names}
    for service in services:
        if service.casefold() not in known:
            near = get_close_matches(service.casefold(), known, n=1)
            hint = f"; did you mean {known[near[0]]}?" if near else "; see: tosmon list"
            raise ConfigError(f"{service} is not tracked{hint}")


def type_meant(written: str, types: Sequence[str], of: str = "") -> str:
    """The type that is written, or the only one that begins so, in any letter case; raises ConfigError listing them."""
    there = sorted(set(types))
    wanted = written.casefold()
    found = [one for one in there if one.casefold() == wanted] or [
        one for one in there if wanted and one.casefold().startswith(wanted)
    ]
    if len(found) != 1:
        named = ", ".join(f'"{one}"' for one in there) or "none"
        what = "several types begin so" if found else f"{of or 'the archive'} has no document of that type"
        raise ConfigError(f"{written}: {what}; there are: {named}")
    return found[0]


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


def addressees_of(
    email: Email | None, archive: Archive, clock: Callable[[], datetime]
) -> Callable[[Alert], list[Addressee]]:
    """Who gets an alert, by which channel: the configured recipients, and the subscribers whose choices let it through.

    Whoever confirmed, left, or was suspended as a subscriber is one, though the configuration names them too: a link to
    unsubscribe must keep its word. Someone who was only asked is not: else a stranger could silence a recipient.
    """
    from tosmon.archive import address_key
    from tosmon.publish.addressing import FOLLOW_UPS, addressed, wants

    recipients = [(one.address, choices_of(one)) for one in email.recipients] if email else []

    def addressees(alert: Alert) -> list[Addressee]:
        if email is None:
            return []
        at = clock()
        told = archive.subscribers.told_of(alert.change_id) if alert.kind in FOLLOW_UPS else frozenset()
        found: dict[str, Addressee] = {}
        deciding = archive.subscribers.all(_DECIDING)
        for subscriber in deciding:
            to = addressed(MAIL, subscriber, alert, at, told)
            if to is not None:
                found[address_key(subscriber.address)] = to
        decided = {address_key(subscriber.address) for subscriber in deciding}
        for address, choices in recipients:
            wanted = (MAIL, address) in told if alert.kind in FOLLOW_UPS else wants(choices, alert)
            if wanted and address_key(address) not in decided:
                found.setdefault(address_key(address), Addressee(MAIL, address))
        return list(found.values())

    return addressees


_PINGED_AT_ONCE = 50


def pinging(hub: str, client: Client) -> Callable[[Sequence[str]], None]:
    """What tells a WebSub hub of feeds that are new. A hub that fails is no harm: readers come by themselves too."""

    def ping(urls: Sequence[str]) -> None:
        for start in range(0, len(urls), _PINGED_AT_ONCE):
            part = urls[start : start + _PINGED_AT_ONCE]
            body = urlencode([("hub.mode", "publish"), *(("hub.url", url) for url in part)]).encode()
            try:
                answer = client.post(hub, body, {"Content-Type": "application/x-www-form-urlencoded"})
            except FetchError as error:
                _log.warning("feeds.hub: %s", error)
                return
            if not 200 <= answer.status < 300:
                _log.warning("feeds.hub: %s answers %d", hub, answer.status)
                return

    return ping


def operators_of(email: Email | None) -> list[Addressee]:
    """Everyone whom the configuration names, whatever their filters: whom the operator's own pins go to."""
    return (
        [Addressee(MAIL, address) for address in dict.fromkeys(one.address for one in email.recipients)]
        if email
        else []
    )


def choices_of(recipient: Recipient | Hook) -> Choices:
    """The filters of a recipient or hook, as configured."""
    return Choices(recipient.services, recipient.topics, recipient.tags, recipient.severity)


def ways_out_of(archive: Archive, mails: MailSettings, signer: Signer) -> Callable[[Notification], WaysOut]:
    """The links of its recipient's own that a mail carries, if that is a subscriber."""
    from tosmon.publish import NO_WAYS_OUT
    from tosmon.publish.letters import ways_out

    def ways_out_of_notification(notification: Notification) -> WaysOut:
        subscriber = archive.subscribers.by_address(notification.recipient)
        if subscriber is None or subscriber.state is not SubscriberState.CONFIRMED:
            return NO_WAYS_OUT
        keys = dict.fromkeys(TermsKey(alert.service, alert.type) for alert in notification.alerts)
        ids = {key: archive.subscribers.terms_id(key) for key in keys}
        return ways_out(subscriber, mails, signer, {key: number for key, number in ids.items() if number is not None})

    return ways_out_of_notification


def letters_of(
    archive: Archive, channel: SmtpChannel, mails: MailSettings, signer: Signer
) -> Callable[[Callable[[], bool]], Delivered]:
    """What sends the letters that wait; the argument says when to stop."""
    from tosmon.deliver import deliver_letters
    from tosmon.publish.letters import letter_mail

    def render(letter: Letter) -> EmailMessage:
        names = archive.browse.service_names()
        copy = archive.subscribers.copy_of(letter.subscriber.handle) if letter.kind is LetterKind.COPY else None
        return letter_mail(letter, mails, signer, now=now(), names=names, copy=copy)

    return lambda stop: deliver_letters(archive.subscribers, channel, render, now, stop=stop)


def suspension_of(archive: Archive) -> Callable[[str, str], None]:
    """What is done with a recipient whose server refuses it again and again."""

    def suspend(channel: str, recipient: str) -> None:
        if channel == MAIL and archive.subscribers.suspend(recipient, now()):
            _log.warning("a subscriber is suspended: their server refuses the address; see: tosmon subscribers")

    return suspend


def smtp_channel(
    email: Email, mails: MailSettings, ways_out: Callable[[Notification], WaysOut] | None = None
) -> SmtpChannel:
    from tosmon.deliver import SmtpChannel, SmtpSettings
    from tosmon.publish import NO_WAYS_OUT

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
    ways_out = ways_out or (lambda notification: NO_WAYS_OUT)
    return SmtpChannel(smtp, mails, now, ways_out=ways_out, most_an_hour=email.most_an_hour)


def channels_of(
    config: Config,
    feeds: FeedSettings,
    archive: Archive,
    identity: Identity,
    stack: ExitStack,
    *,
    lenient: bool = False,
) -> Channels:
    """The configured ways of delivery, by the name under which they stand in the outbox; `stack` closes what they open.

    `lenient` leaves out a hook that is not set up whole: what is for it waits in the outbox.
    """
    channels: dict[str, Channel] = {}
    letters: dict[str, Callable[[Callable[[], bool]], Delivered]] = {}
    if config.email is not None:
        from tosmon.publish import MailSettings

        mails, signer = MailSettings(config.email.sender, feeds), signer_of(identity)
        channel = smtp_channel(config.email, mails, ways_out_of(archive, mails, signer))
        channels[MAIL], letters[MAIL] = channel, letters_of(archive, channel, mails, signer)
    if config.hooks:
        from tosmon.cli.hooking import hook_channels

        for hook in config.hooks:
            try:
                channels |= hook_channels([hook], config.politeness, feeds, stack)
            except ConfigError as error:
                if not lenient:
                    raise
                _log.warning("%s; what is for it waits in the outbox", error)
    return Channels(channels, letters)


class Channels(NamedTuple):
    """What `Works` takes: the channels, and what goes through one of them before any alert does."""

    channels: Mapping[str, Channel]
    letters: Mapping[str, Callable[[Callable[[], bool]], Delivered]]


def signer_of(identity: Identity) -> Signer:
    """What makes and knows the links of subscribers."""
    from tosmon.publish.signed import Signer

    return Signer(identity.secret)


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


def beating(url: str, client: Client) -> Callable[[], None]:
    """What calls the dead man's switch; a FetchError is logged by who runs it, and the next minute tries again."""

    def beat() -> None:
        answer = client.get(url)
        if answer.status >= 400:
            _log.warning("heartbeat: the switch answered %d", answer.status)

    return beat


def rename_services(config: Config, archive: Archive) -> None:
    """Let services that are declared with a former key go on under the new one; raises ArchiveError."""
    from tosmon.publish.feeds import document_feed, service_feed

    def feeds(service: str, type: str | None) -> str:
        return (service_feed(service, "") if type is None else document_feed(TermsKey(service, type), "")).path

    for service in config.services:
        for old in service.formerly:
            if archive.identities.rename(old, service.key, feeds):
                _log.info("%s goes on as %s", old, service.key)


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
def works_of(config: Config, *, lenient: bool = False) -> Iterator[Works]:
    """Everything that looks and tells, with the configuration's documents declared to the archive.

    `lenient`: see `channels_of`; for commands that decide, and need not send at once.
    """
    from tosmon.archive import Snapshots
    from tosmon.cli.hooking import hook_addressees
    from tosmon.judge import load_rules
    from tosmon.run import Works, share_heaps
    from tosmon.track.world import World

    share_heaps()
    declared = declared_terms(config)
    rules = load_rules(config.rules)
    with ExitStack() as stack:
        archive = stack.enter_context(opened_archive(config))
        rename_services(config, archive)
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
            addressees=hook_addressees(config.hooks, addressees_of(config.email, archive, now)),
            clock=now,
            confirm_after=config.schedule.confirm_after,
            unconfirmed_first=frozenset(config.schedule.unconfirmed_first),
        )
        ways = channels_of(config, feeds, archive, identity, stack, lenient=lenient)
        yield Works(
            world=world,
            declared={terms.key: terms for terms in declared},
            channels=ways.channels,
            feeds=feeds,
            public=config.public,
            workers=config.schedule.workers,
            letters=ways.letters,
            suspend=suspension_of(archive),
            operators=operators_of(config.email),
            ping=pinging(config.feeds.hub, client) if config.feeds.hub else None,
            heartbeat=beating(config.schedule.heartbeat, client) if config.schedule.heartbeat else None,
        )


# --- the web -----------------------------------------------------------------------------------------------------------


def operator_of(config: Config, archive: Archive, works: Works | None = None) -> Operator | None:
    """What the operator may do on the web, if there is a token; telling people takes the works that do it."""
    if config.web.token is None:
        return None
    from tosmon.track import operating, pinned
    from tosmon.web import Operator

    token = config.web.token.get_secret_value()
    declared = works.declared if works else {terms.key: terms for terms in declared_terms(config)}
    operator = Operator(
        token,
        pin=lambda key, sentence: pinned.pin(archive, key, sentence, "", now()),
        declared_paused=frozenset(key for key, terms in declared.items() if terms.paused),
    )
    if works is None:
        return operator
    return replace(
        operator,
        release=lambda change_id: operating.release(change_id, works.declared, works.world).done,
        mark_as_noise=lambda change_id: operating.mark_as_noise(change_id, works.declared, works.world).done,
    )


def web_of(config: Config, archive: Archive, feeds: FeedSettings, works: Works | None = None) -> FastAPI:
    """The web of the archive, which reads it, and writes what subscribers choose and its operator decides."""
    from tosmon.web import Subscribing, WebSettings, app

    mails = config.email is not None
    subscribing = Subscribing(
        signer_of(identity_of(config, archive)), sends=mails, open=config.email is not None and config.email.sign_up
    )
    settings = WebSettings(
        title=config.feeds.title,
        site_url=config.site_url,
        public=config.public,
        snapshots=config.snapshots,
        feeds=feeds,
        late_after=max(timedelta(hours=2), 2 * config.schedule.interval),
        subscribing=subscribing,
        operator=operator_of(config, archive, works),
    )
    return app(archive, settings, now)
