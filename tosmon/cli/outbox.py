"""`tosmon outbox`: what waits to be sent, what was given up and why, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import click

from tosmon.archive import NotificationRow, Waiting
from tosmon.cli import Commands, Lazy, Settings
from tosmon.cli.terminal import one_line, print_json, say, stdout, styled
from tosmon.cli.wiring import now, reading
from tosmon.errors import ArchiveError
from tosmon.model import NotificationState

_STATES = [state.value for state in NotificationState]
_OPEN = (NotificationState.DEAD, NotificationState.CLAIMED, NotificationState.PENDING)


OUTBOX = {
    "list": Lazy("outbox", "List what is not sent: dead letters first, then what waits, each with the reason."),
    "show": Lazy("outbox", "Show one delivery: whom it is for, what became of it, why, and what can be done."),
    "resend": Lazy("outbox", "Send dead letters again, and what waits at once."),
    "drop": Lazy("outbox", "Never send these; the alert itself stays in the archive and in the feeds."),
}


@click.group("outbox", cls=Commands, lazy=OUTBOX, prefix="outbox", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON (of the list).")
@click.pass_context
def outbox_command(context: click.Context, as_json: bool) -> None:
    """What waits to be sent, what was given up and why; send it again, or drop it.

    Without a subcommand: list.
    """
    if context.invoked_subcommand is None:
        context.invoke(outbox_list_command, limit=50, as_json=as_json)


@click.command("list")
@click.option("--state", type=click.Choice(_STATES), help="Only these; else all that is not sent.")
@click.option("--to", "recipient", help="Only for this recipient.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many of each state.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def outbox_list_command(
    settings: Settings, state: str | None, recipient: str | None, limit: int, as_json: bool
) -> None:
    """List what is not sent: dead letters first, then what waits, each with the reason."""
    states = _OPEN if state is None else (NotificationState(state),)
    with reading(settings) as (_, archive):
        rows = [row for one in states for row in archive.outbox.notifications(one, limit, recipient=recipient)]
        channels = archive.outbox.waiting()
        counts = archive.outbox.counts()
    if as_json:
        print_json({"counts": counts, "channels": channels, "notifications": rows})
        return
    for row in rows:
        _print_line(row)
    _print_summary(counts, channels)


@click.command("show")
@click.argument("notification", type=int, metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def outbox_show_command(settings: Settings, notification: int, as_json: bool) -> None:
    """Show one delivery: whom it is for, what became of it, why, and what can be done."""
    with reading(settings) as (_, archive):
        row = archive.outbox.notification(notification)
        whole = archive.outbox.unsent(notification)
    if row is None or whole is None:
        raise ArchiveError(f"there is no notification {notification}; see: tosmon outbox")
    headlines = [one_line(alert.headline) for alert in whole.alerts]
    if as_json:
        print_json({"notification": row, "headlines": headlines, "advice": advice(row)})
        return
    for name, value in (
        ("state", row.state),
        ("channel", row.channel),
        ("recipient", row.recipient),
        ("attempts", row.attempts),
        ("written", _time(row.created_at)),
        ("settled" if row.settled_at else "next attempt", _time(row.settled_at or row.not_before)),
        ("Message-ID", whole.message_id),
        ("error", row.error or "none"),
        ("advice", advice(row)),
    ):
        stdout().print(styled(f"{name:<13} {one_line(str(value), 500)}"))
    for headline in headlines:
        stdout().print(styled(f"{'':<13} {headline}"))


@click.command("resend")
@click.argument("ids", type=int, nargs=-1, metavar="[ID]…")
@click.option("--all", "everything", is_flag=True, help="All dead letters.")
@click.pass_obj
def outbox_resend_command(settings: Settings, ids: Sequence[int], everything: bool) -> None:
    """Send dead letters again, and what waits at once.

    `tosmon run` or the next `tosmon check` sends them. The Message-ID stays: a mailbox that has a mail already shows
    it once.
    """
    if not ids and not everything:
        raise click.UsageError("name the dead letters to send again, or give --all")
    with reading(settings) as (_, archive):
        if everything:
            say(f"{archive.outbox.revive_all(now())} will be sent again.")
        for one in ids:
            if not archive.outbox.revive(one, now()) and not archive.outbox.hurry(one, now()):
                raise ArchiveError(f"{one}: nothing to send again; it was sent, dropped, or there is none of that id")
            say(f"{one}: will be sent at the next delivery.")


@click.command("drop")
@click.argument("ids", type=int, nargs=-1, required=True, metavar="ID…")
@click.pass_obj
def outbox_drop_command(settings: Settings, ids: Sequence[int]) -> None:
    """Never send these; the alert itself stays in the archive and in the feeds."""
    with reading(settings) as (_, archive):
        for one in ids:
            if not archive.outbox.drop(one):
                raise ArchiveError(f"{one}: nothing to drop; it was sent, is being sent, or there is none of that id")
            say(f"{one}: dropped.")


def advice(row: NotificationRow) -> str:
    """What an operator can do about a delivery."""
    again = f"tosmon outbox resend {row.id}"
    match NotificationState(row.state):
        case NotificationState.SENT:
            return "nothing to do: the other side has taken it"
        case NotificationState.DROPPED:
            return "dropped by hand; it is not sent any more"
        case NotificationState.CLAIMED:
            return "being sent just now; if that process died, it is free again ten minutes after the attempt"
        case NotificationState.PENDING if not row.error:
            return "waits for its time, for `tosmon run`, or for the next `tosmon check`"
        case NotificationState.PENDING:
            return f"tried again by itself; at once with: {again}"
    if row.refused:
        return f"the server knows no such address: correct or remove it. If it exists after all: {again}"
    return f"mend what the error names, then: {again}; or let it go: tosmon outbox drop {row.id}"


def _print_line(row: NotificationRow) -> None:
    style = {"dead": "red", "pending": "", "sent": "green"}.get(row.state, "dim")
    due = _time(row.not_before) if row.state == NotificationState.PENDING else row.state
    bundle = " (digest)" if row.bundle else ""
    line = f"{row.id:>6}  {due:<16}  {one_line(row.recipient, 40)} by {one_line(row.channel, 40)}{bundle}"
    stdout().print(styled(f"{line}: {one_line(row.headline, 100)}", style))
    if row.error:
        stdout().print(styled(f"{'':>8}{one_line(row.error, 200)} ({row.attempts} attempts)", "dim"))


def _print_summary(counts: dict[str, int], channels: Sequence[Waiting]) -> None:
    for one in channels:
        said = (
            f"{one_line(one.channel, 40)}: {one.waiting} wait, {one.dead} given up, the oldest from {_time(one.since)}."
        )
        say(said, "red" if one.dead else "")
    if not channels:
        say(f"Nothing waits. {counts.get(NotificationState.SENT.value, 0)} sent in all.", "dim")


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"
