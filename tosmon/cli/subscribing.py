"""`subscribe`, `subscribers` and `unsubscribe`: what the operator does for the people who are told by mail."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any
from zoneinfo import ZoneInfo

import click

from tosmon.archive import Archive, address_key
from tosmon.cli import ERROR, Settings
from tosmon.cli.terminal import both, one_line, print_json, say, stdout, table
from tosmon.cli.wiring import (
    channels_of,
    config_of,
    declared_terms,
    feed_settings,
    identity_of,
    now,
    opened_archive,
    reading,
    wanted,
)
from tosmon.config import Config, Email
from tosmon.errors import ArchiveError, ConfigError
from tosmon.model import MAIL, Choices, Frequency, Severity, Subscriber
from tosmon.publish.addressing import checked_address
from tosmon.publish.letters import WEEKDAYS, described, masked

_DAYS = [day.lower() for day in WEEKDAYS]


def _zone(context: click.Context, parameter: click.Parameter, value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError) as error:
        raise click.BadParameter(f"{value!r} is no time zone; write Europe/Berlin, America/New_York, UTC, …") from error
    return value


def _address(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    address = checked_address(value)
    if address is None:
        raise click.BadParameter("expected one plain mail address like name@example.org")
    return address


@click.command("subscribe")
@click.argument("address", callback=_address)
@click.option(
    "--service", "-S", "services", multiple=True, metavar="NAME", help="Only of this service; may be repeated."
)
@click.option("--topic", "topics", multiple=True, metavar="TOPIC", help="Only with a flag on this topic.")
@click.option("--tag", "tags", multiple=True, metavar="TEXT", help="Only documents with this tag.")
@click.option(
    "--severity",
    type=click.Choice([one.value for one in Severity]),
    default="low",
    show_default=True,
    help="From which severity on.",
)
@click.option("--daily", "frequency", flag_value="daily", help="All of a day in one mail; else each at once.")
@click.option("--weekly", "frequency", flag_value="weekly", help="All of a week in one mail.")
@click.option("--at", "hour", type=click.IntRange(0, 23), default=8, show_default=True, help="The hour of that mail.")
@click.option(
    "--on", "day", type=click.Choice(_DAYS), default="monday", show_default=True, help="The day of a weekly one."
)
@click.option("--zone", callback=_zone, default="UTC", show_default=True, help="The time zone of that hour.")
@click.option("--confirmed", is_flag=True, help="Its owner has said yes to you already: ask no more.")
@click.pass_obj
def subscribe_command(
    settings: Settings,
    address: str,
    services: Sequence[str],
    topics: Sequence[str],
    tags: Sequence[str],
    severity: str,
    frequency: str | None,
    hour: int,
    day: str,
    zone: str,
    confirmed: bool,
) -> int:
    """Tell ADDRESS by mail when terms change, once its owner has said yes to a mail that asks.

    Without options: everything, at once. Who is subscribed already gets the link to their choices, unchanged.
    """
    config = config_of(settings)
    if config.email is None:
        raise ConfigError("email: not configured; wake the email section of the configuration first")
    keys = {terms.key.service for terms in wanted(declared_terms(config), services)} if services else set()
    choices = Choices(
        tuple(sorted(keys)), tuple(topics), tuple(tags), Severity(severity), Frequency(frequency or "immediate"), hour,
        _DAYS.index(day), zone,
    )  # fmt: skip
    with opened_archive(config) as archive:
        for topic in topics:
            _check_topic(topic, archive)
        if confirmed:
            archive.subscribers.enrol(address, choices, now())
            _say_what(f"{address} is subscribed:", choices, archive)
            return 0
        if (warning := links_warning(config)) is not None:
            say(warning, "yellow")
        archive.subscribers.ask(address, choices, now())
        _say_what(f"{address} is asked whether to be told of:", choices, archive)
        return _send_letters(config, archive)


def _check_topic(topic: str, archive: Archive) -> None:
    from tosmon.publish.words import TOPICS

    known = list(dict.fromkeys((*TOPICS, *archive.browse.topics())))
    if topic not in known:
        raise click.UsageError(f"--topic: {one_line(topic, 60)!r} is no topic; expected one of {', '.join(known)}")


def _say_what(start: str, choices: Choices, archive: Archive) -> None:
    say(one_line(start), "bold")
    for point in described(choices, archive.browse.service_names()):
        say(f"  {one_line(point, 500)}")


def _send_letters(config: Config, archive: Archive) -> int:
    """Hand over what was just written, and whatever letters wait beside it."""
    identity = identity_of(config, archive)
    with ExitStack() as stack:
        ways = channels_of(config, feed_settings(config, identity), archive, identity, stack)
        delivered = ways.letters[MAIL](lambda: False)
    if delivered.failed:
        say(
            "The mail could not be handed over now. `tosmon run` goes on trying; see why with: tosmon mail-test",
            "yellow",
        )
        return ERROR
    if delivered.dead:
        say("The mail server refuses that address for good.", "red")
        return ERROR
    say("The mail is sent.", "green")
    return 0


@click.command("subscribers")
@click.argument("address", required=False, callback=_address)
@click.option("--addresses", is_flag=True, help="Show whole addresses instead of masks.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def subscribers_command(settings: Settings, address: str | None, addresses: bool, as_json: bool) -> None:
    """List who is told by mail and of what; with an ADDRESS, print all that is kept about it (JSON).

    That is the copy of their data that people may ask for.
    """
    with reading(settings) as (_, archive):
        if address is not None:
            print_json(archive.subscribers.copy_of(_found(archive, address).handle))
            return
        show: Callable[[str], str] = str if addresses else masked
        found, names = archive.subscribers.all(), archive.browse.service_names()
    if as_json:
        print_json([_row(one, show) for one in found])
        return
    moment = now()
    rows = [
        (
            one_line(show(one.address), 80),
            "paused" if one.paused else one.state.value,
            both(one.confirmed_at or one.asked_at, moment),
            one_line("; ".join(described(one.choices, names)), 400),
        )
        for one in found
    ]
    if rows:
        stdout().print(table(("address", "state", "since", "is told"), rows))
    states = [one.state.value for one in found]
    say(", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states)) or "Nobody has subscribed.")


def _row(subscriber: Subscriber, show: Callable[[str], str]) -> dict[str, Any]:
    return {
        "address": show(subscriber.address),
        "state": subscriber.state,
        "paused": subscriber.paused,
        "asked_at": subscriber.asked_at,
        "confirmed_at": subscriber.confirmed_at,
        "settled_at": subscriber.settled_at,
        "choices": subscriber.choices,
        "muted": [str(key) for key in sorted(subscriber.muted)],
    }


@click.command("unsubscribe")
@click.argument("address", callback=_address)
@click.option("--erase", is_flag=True, help="Forget everything about it too: choices, letters, what was sent.")
@click.pass_obj
def unsubscribe_command(settings: Settings, address: str, erase: bool) -> None:
    """Tell ADDRESS nothing more, what was waiting included."""
    with reading(settings) as (config, archive):
        found = _found(archive, address)
        if erase:
            archive.subscribers.erase(found.handle)
        else:
            archive.subscribers.leave(found.handle, now())
        say(f"{one_line(address)}: {'everything about it is erased' if erase else 'unsubscribed'}.", "green")
        recipients = [address_key(one.address) for one in config.email.recipients] if config.email else []
        if erase and address_key(address) in recipients:
            say(
                "It is in email.recipients too, and told by that from now on: take it out of the configuration.",
                "yellow",
            )


# What servers and the network say when a setting is wrong, and which one it is.
_HINTS = (
    ("certificate", "The certificate is not one that this machine trusts: give its authority as email.ca_file, or the "
     "server's right name as email.host."),
    ("WRONG_VERSION_NUMBER|record layer|wrong version", "That port does not begin with TLS: use email.security: starttls, "
     "or the port for tls (465)."),
    ("STARTTLS extension not supported", "The server offers no STARTTLS on that port: try email.security: tls, or none for "
     "a server on this machine."),
    ("AUTH extension not supported", "The server takes no log-in here, mostly because the line is not encrypted: see "
     "email.security; or leave email.user out."),
    (r"\b(?:530|534|535|538)\b", "The log-in is refused: see email.user, and TOSMON_SMTP_PASSWORD (or …_FILE). Some "
     "providers want a password made for programs."),
    ("refused|reset|unreachable", "Nobody listens there: see email.host and email.port; a firewall may be in the way."),
    ("timed out", "No answer: see email.host and email.port. Many networks block port 25; 587 and 465 are mostly open."),
    ("Name or service|nodename|resolution|getaddrinfo", "There is no such host: see email.host."),
    ("closed", "The server hung up: it may want email.security: tls on that port."),
)  # fmt: skip


def links_warning(config: Config) -> str | None:
    """What is wrong with where links in mails lead, if anything is."""
    if config.feeds.site_url is None:
        return f"Links in mails lead to {config.site_url}, which others may not reach: set feeds.site_url."
    if not config.site_url.startswith("https:"):
        return "Links in mails lead to http: mail programs offer to unsubscribe by one click only for https."
    return None


def mail_hint(error: str, email: Email) -> str:
    """What to change in the configuration when the mail server cannot be used."""
    hints = (hint for pattern, hint in _HINTS if re.search(pattern, error, re.IGNORECASE))
    tried = f"It was tried with email.security: {email.security.value} on port {email.smtp_port}."
    return f"{next(hints, 'See the settings under email.')} {tried}"


def _found(archive: Archive, address: str) -> Subscriber:
    found = archive.subscribers.by_address(address)
    if found is None:
        raise ArchiveError(f"{one_line(address)} is no subscriber; see: tosmon subscribers --addresses")
    return found
