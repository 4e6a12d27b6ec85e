"""`check`, `run`, `serve`, `mail-test` and `demo`: everything that looks, tells or serves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tosmon.cli import ERROR, UNREADABLE, Settings
from tosmon.cli.serving import served, stopping
from tosmon.cli.terminal import log_to_stderr, one_line, print_json, progress, say, stdout, styled
from tosmon.cli.wiring import (
    config_of,
    declared_terms,
    feed_settings,
    identity_of,
    now,
    opened_archive,
    smtp_channel,
    wanted,
    web_of,
    works_of,
)
from tosmon.errors import ConfigError, DeliveryError
from tosmon.model import MAIL, Outcome, Verdict

if TYPE_CHECKING:
    from tosmon.deliver import Delivered
    from tosmon.run import Looked

# --- check ----------------------------------------------------------------------------------------------------------


@click.command("check")
@click.argument("services", nargs=-1, metavar="[SERVICE]…")
@click.option("--type", "kinds", multiple=True, metavar="TYPE", help="Only documents of this type.")
@click.option("--due", is_flag=True, help="Only what is due by its interval: for a timer that runs often.")
@click.option("--no-mail", is_flag=True, help="Leave mails in the outbox for the next time.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def check_command(
    context: click.Context, services: tuple[str, ...], kinds: tuple[str, ...], due: bool, no_mail: bool, as_json: bool
) -> int:
    """Look at documents now: all of them, or those of the SERVICES named (paused ones too, if named).

    Feeds are written and mails sent. Exits with 0 also when something changed, and with 3 when some documents could
    not be read.
    """
    from tosmon import run

    settings: Settings = context.obj
    config = config_of(settings)
    wanted(declared_terms(config), services, kinds)  # what is misspelt is said before anything is opened
    with works_of(config) as works, stopping("finishing the looks at hand") as stop:
        documents = wanted(list(works.declared.values()), services, kinds)
        held = {row.key for row in works.world.archive.browse.documents() if row.paused}
        chosen = [terms.key for terms in documents if services or not (terms.paused or terms.key in held)]
        if due:
            moment = now()
            rows = {row.key: row.due_at for row in works.world.archive.browse.documents()}
            chosen = [key for key in chosen if key not in rows or rows[key] <= moment]
        if not documents:
            say("Nothing is tracked yet. Add a document with: tosmon add URL")
        with progress("looking", len(chosen)) as step:
            looked = run.look_at(chosen, works, stop=stop.is_set, done=lambda one: step(str(one.key)))
        run.remind_due(works)
        run.bring_up_profiles(works, stop.is_set)
        run.tell_of_pins(works)
        run.publish_new(run.FeedFiles(works), works)
        delivered = None if no_mail else run.deliver(works, stop.is_set)
        if as_json:
            print_json(_as_values(looked, delivered))
        else:
            _report(looked, delivered)
        if stop.is_set():
            raise KeyboardInterrupt
    return UNREADABLE if any(one.outcome is Outcome.FAILED for one in looked) else 0


def _report(looked: Sequence[Looked], delivered: Delivered | None) -> None:
    console = stdout()
    for one in looked:
        if one.outcome is Outcome.UNCHANGED and not (one.recorded and one.recorded.incident_closed):
            continue
        word, style = _words(one)
        name = f"{one_line(one.key.service, 40)}, {one_line(one.key.type, 60)}"
        console.print(styled(f"{word:<14} {name}", style))
        told = one.recorded.alert.headline if one.recorded and one.recorded.alert else one.detail
        if told:
            console.print(styled(f"{'':<14} {one_line(told)}"))
    counts = Counter(_words(one)[0] for one in looked)
    summary = ", ".join(f"{count} {word}" for word, count in counts.most_common())
    if looked:
        say(f"{len(looked)} looked at: {summary}.")
    if delivered is not None and (delivered.sent or delivered.failed or delivered.dead):
        say(f"Mails: {delivered.sent} sent, {delivered.failed} to be tried again, {delivered.dead} given up.")
    if counts["new"] and len(counts) == 1:
        say("The first look only fills the archive; changes are told from the next one on.", "dim")


def _words(one: Looked) -> tuple[str, str]:
    if one.outcome is None:
        return "left alone", "yellow"
    if one.recorded is None:
        return "bug", "bold red"
    if one.recorded.incident_closed:
        return "recovered", "green"
    return {
        Outcome.FIRST: ("new", "green"),
        Outcome.UNCHANGED: ("unchanged", "dim"),
        Outcome.CHANGED: ("changed", "bold"),
        Outcome.QUIET: ("changed quietly", "dim"),
        Outcome.TECHNICAL: ("read anew", "dim"),
        Outcome.FAILED: ("error" if one.recorded.incident_opened else "error again", "red"),
    }[one.outcome]


def _as_values(looked: Sequence[Looked], delivered: Delivered | None) -> dict[str, object]:
    documents = [
        {
            "service": one.key.service,
            "type": one.key.type,
            "outcome": one.outcome,
            "verdict": one.verdict,
            "detail": one.detail,
            "version_id": one.recorded.version_id if one.recorded else None,
            "change_id": one.recorded.change_id if one.recorded else None,
            "headline": one.recorded.alert.headline if one.recorded and one.recorded.alert else None,
            "incident_opened": bool(one.recorded and one.recorded.incident_opened),
            "incident_closed": bool(one.recorded and one.recorded.incident_closed),
        }
        for one in looked
    ]
    failed = sum(1 for one in looked if one.verdict is not Verdict.OK)
    return {"looked_at": len(looked), "failed": failed, "documents": documents, "mails": delivered}


# --- run and serve ----------------------------------------------------------------------------------------------------


@click.command("run")
@click.option("--no-web", is_flag=True, help="Do not serve the archive.")
@click.option("--host", help="Listen on this address instead of web.host.")
@click.option("--port", type=click.IntRange(0, 65535), help="Listen on this port instead of web.port.")
@click.pass_obj
def run_command(settings: Settings, no_web: bool, host: str | None, port: int | None) -> None:
    """Look at each document when it is time, tell people, and serve the archive, until Ctrl-C or SIGTERM.

    What is at hand is finished then. Several may run on one archive: they share the work.
    """
    from tosmon import run

    log_to_stderr(max(1, settings.verbosity))
    config = config_of(settings)
    with ExitStack() as stack:
        works = stack.enter_context(works_of(config))
        stop = stack.enter_context(stopping("finishing the looks at hand"))
        if not works.declared:
            say("Nothing is tracked yet: add a document with `tosmon add URL`, then start again.", "yellow")
        if outdated := works.world.archive.findings.outdated(works.world.rules):
            say(
                f"The rules changed: {outdated} documents are judged by former ones; mend with: tosmon rejudge",
                "yellow",
            )
        if not no_web:
            app = web_of(config, works.world.archive, works.feeds, works)
            address = stack.enter_context(
                served(app, host or config.web.host, config.web.port if port is None else port)
            )
            say(f"The archive is at {address}", "bold")
        say(f"Looking at {len(works.declared)} documents when it is time. Ctrl-C stops.")
        run.run(works, stop)


@click.command("serve")
@click.option("--host", help="Listen on this address instead of web.host.")
@click.option("--port", type=click.IntRange(0, 65535), help="Listen on this port instead of web.port.")
@click.pass_obj
def serve_command(settings: Settings, host: str | None, port: int | None) -> None:
    """Serve the archive in the browser, without looking at anything, until Ctrl-C or SIGTERM."""
    from tosmon.cli.profiles import brought_up_beside

    if settings.verbosity:
        log_to_stderr(settings.verbosity)
    config = config_of(settings)
    with ExitStack() as stack:
        archive = stack.enter_context(opened_archive(config))
        feeds = feed_settings(config, identity_of(config, archive))
        stop = stack.enter_context(stopping("closing connections"))
        app = web_of(config, archive, feeds)
        address = stack.enter_context(served(app, host or config.web.host, config.web.port if port is None else port))
        say(f"The archive is at {address}. Ctrl-C stops.", "bold")
        stack.enter_context(brought_up_beside(config, archive))
        stop.wait()


# --- mail-test --------------------------------------------------------------------------------------------------------


@click.command("mail-test")
@click.argument("addresses", nargs=-1, metavar="[ADDRESS]…")
@click.pass_obj
def mail_test_command(settings: Settings, addresses: tuple[str, ...]) -> int:
    """Send one mail with an invented change to each configured recipient (or to the ADDRESSES given).

    Says first whether the server answers, how it encrypts, and whether it takes the log-in; where not, what to change.
    """
    from tosmon.cli.sample import sample
    from tosmon.cli.subscribing import links_warning, mail_hint
    from tosmon.publish import MailSettings

    config = config_of(settings)
    if config.email is None:
        raise ConfigError("email: not configured; wake the email section of the configuration first")
    recipients = addresses or tuple(dict.fromkeys(one.address for one in config.email.recipients))
    if not recipients:
        raise ConfigError("email.recipients: nobody to write to; add one, or name an address: tosmon mail-test ADDRESS")
    with opened_archive(config) as archive:
        feeds = feed_settings(config, identity_of(config, archive))
    failed = 0
    with smtp_channel(config.email, MailSettings(config.email.sender, feeds)) as channel:
        try:
            say(channel.greet(), "green")
            if (warning := links_warning(config)) is not None:
                say(warning, "yellow")
        except DeliveryError as error:
            say(str(error), "red")
            say(mail_hint(str(error), config.email))
            return ERROR
        for recipient in recipients:
            try:
                channel.send(sample(MAIL, recipient, feeds.authority))
            except DeliveryError as error:
                failed += 1
                say(f"{recipient}: not sent: {error}", "red")
            else:
                say(f"{recipient}: sent", "green")
    return ERROR if failed else 0


# --- demo -------------------------------------------------------------------------------------------------------------


@click.command("demo")
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), help="Keep everything here; else it is gone after."
)
@click.option("--port", type=click.IntRange(0, 65535), default=8766, show_default=True, help="Where to browse it.")
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
@click.option("--once", is_flag=True, help="Leave when the story is told, instead of serving its archive.")
def demo_command(folder: Path | None, port: int, no_browser: bool, once: bool) -> None:
    """Watch invented platforms change their terms over sixteen weeks, in an archive of its own.

    Everything but the platforms and the clock is real: the looks over HTTP, the archive, the mails, the feeds.
    """
    from tosmon import demo

    console = stdout()
    demo.run(
        folder,
        browser=not no_browser and not once,
        serve=not once,
        port=port,
        report=lambda line: console.print(styled(line)),
    )
