"""`profile` and `rejudge`: who may do what with people's work, and all history judged again when the rules changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from threading import Event, Thread
from typing import TYPE_CHECKING

import click
from rich.console import Console, Group, RenderableType
from rich.text import Text

from tosmon.clauses import plain
from tosmon.cli import INTERRUPTED, Settings
from tosmon.cli.reading import Then, nothing_read, service_in
from tosmon.cli.serving import stopping
from tosmon.cli.terminal import counting, indented, one_line, print_json, progress, say, stdout, styled, table
from tosmon.cli.wiring import now, reading
from tosmon.errors import ArchiveError
from tosmon.judge.profile import ASPECTS, Cell, Held, Profile, answer
from tosmon.model import Direction, Stance
from tosmon.publish.words import DIRECTION, day

if TYPE_CHECKING:
    from tosmon.archive import Archive
    from tosmon.config import Config
    from tosmon.track.rejudging import Rejudging

_STYLE = {
    Direction.WORSE: "red",
    Direction.BETTER: "green",
    Direction.MIXED: "yellow",
    Direction.NEUTRAL: "cyan",
}
_COLUMNS = ("training", "training_others", "ownership", "restriction")
_QUOTE = 360


# --- profile ----------------------------------------------------------------------------------------------------------


@click.command("profile")
@click.argument("service", required=False)
@click.option("--at", type=Then(), metavar="WHEN", help="As it was then: 2026-01-31, 30d.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def profile_command(settings: Settings, service: str | None, at: datetime | None, as_json: bool) -> None:
    """Show who may do what with people's work: what SERVICE claims in its own words, or the table of all services."""
    with reading(settings) as (config, archive):
        bring_up(config, archive)
        key = service_in(archive, service) if service else None
        found = archive.findings.profiles(service=key, at=at, today=now().date())
        if as_json:
            print_json([_as_value(one) for one in found] if key is None else _as_value(found[0]) if found else None)
            return
        console = stdout()
        if not found:
            unread = len(archive.browse.incidents())
            nothing = nothing_read(unread) if unread else "Nothing is read yet; look with: tosmon check"
            say("No text of that time is archived." if at else nothing)
        elif key is None:
            console.print(_table(found))
            say(
                f"\n{len(found)} service{'s' if len(found) != 1 else ''}. The words behind an answer: tosmon profile SERVICE"
            )
        else:
            console.print(_shown(found[0], at, console))


def bring_up(config: Config, archive: Archive, stop: Callable[[], bool] = lambda: False) -> None:
    """Bring the profiles up to the latest versions; where the archive cannot be written, they are shown as they are."""
    from tosmon.judge import load_rules

    behind = len(archive.findings.stale())
    if not behind:
        return
    try:
        with progress("reading profiles", behind) as step:
            archive.findings.refresh(load_rules(config.rules), now(), stop=stop, done=lambda key: step(str(key)))
    except ArchiveError as error:
        say(f"The profiles are shown as they were last made: {error}", "yellow")


@contextmanager
def brought_up_beside(config: Config, archive: Archive) -> Iterator[None]:
    """While the block lasts, profiles are brought up in a thread: an import may have left them behind."""
    stop = Event()
    thread = Thread(target=bring_up, args=(config, archive, stop.is_set), name="profiles")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _table(found: Sequence[Profile]) -> RenderableType:
    aspects = {aspect.key: aspect.name for aspect in ASPECTS}
    rows: list[list[str | Text]] = [
        [one_line(one.service_name, 30), *(_answer(one.cell(key)) for key in _COLUMNS), _covered(one)] for one in found
    ]
    return table(("Service", *(aspects[key] for key in _COLUMNS), "Its licence covers"), rows)


def _answer(cell: Cell) -> Text:
    if cell.tone is None:
        return Text(_lowered(cell.answer), style="dim")
    also = f" (also: {_joined(cell.also)})" if cell.also else ""
    return Text(f"{DIRECTION[cell.tone][0]} {cell.answer}{also}", style=_STYLE[cell.tone])


def _covered(profile: Profile) -> Text:
    if not profile.cell("licence").held:
        return Text("no licence found" if profile.cell("licence").read else "not read", style="dim")
    points = [cell.aspect.name.lower() for cell in profile.attributes]
    more = f" +{len(points) - 5}" if len(points) > 5 else ""
    return Text(", ".join(points[:5]) + more if points else "a licence, no more said")


def _shown(profile: Profile, at: datetime | None, console: Console) -> RenderableType:
    read = ", ".join(f"{one.key.type} ({day(one.at)})" for one in profile.sources)
    when = f"as it stood on {day(at)}" if at else "as it stands"
    lines: list[RenderableType] = [
        styled(f"What {one_line(profile.service_name, 60)} may do with your work, {when}", "bold"),
        styled(one_line(f"Read from {read}.", 600), "dim"),
    ]
    for cell in _said(profile):
        lines += ["", _headed(cell)]
        for held in cell.held:
            lines += _held_shown(cell, held, console)
    if profile.attributes:
        lines += ["", styled("What its licence covers", "bold")]
        for cell in profile.attributes:
            since = _since(cell.held[0])
            assert cell.tone is not None
            lines.append(Text(f"  {DIRECTION[cell.tone][0]} {cell.aspect.name}, {since}", style=_STYLE[cell.tone]))
    silences = [cell for cell in (profile.cell(one.key) for one in ASPECTS if not one.is_attribute) if not cell.held]
    silent = [one.aspect.question + (f" ({one.gone.words})" if one.gone else "") for one in silences]
    unread = sorted({topic for one in profile.sources for topic in one.unread})
    if silent:
        lines += ["", styled(f"It says nothing on: {' '.join(silent)}", "dim")]
    if unread:
        lines.append(styled(f"Not read in the language of some of its documents: {', '.join(unread)}.", "yellow"))
    return Group(*lines)


def _said(profile: Profile) -> list[Cell]:
    keys = [*(aspect.key for aspect in ASPECTS if not aspect.is_attribute), *profile.other_aspects]
    return [profile.cells[key] for key in keys if key in profile.cells]


def _headed(cell: Cell) -> Text:
    assert cell.tone is not None
    sign, style = DIRECTION[cell.tone][0], _STYLE[cell.tone]
    also = (f"  It also says: {_joined(cell.also)}.", "bold") if cell.also else ("", "")
    return Text.assemble((f"{cell.aspect.question} ", "bold"), (f"{sign} {cell.answer}", style), also)


def _held_shown(cell: Cell, held: Held, console: Console) -> Iterator[RenderableType]:
    says = f"{answer(cell.aspect.key, held.stance)}: " if cell.several else ""
    yield indented(styled(f"{says}“{one_line(plain(held.quote), _QUOTE)}”"), console)
    place = ", ".join((held.key.type, *held.headings[-1:]))
    brought = f", change {held.change_id}" if held.change_id else ""
    yield styled(f"    {one_line(place, 120)} · {_in_words(held)}{_since(held)}{brought}", "dim")


def _in_words(held: Held) -> str:
    """Since when in these words, where the stance is older."""
    if held.begun is None:
        return ""
    brought = f", change {held.begun_change_id}" if held.begun_change_id else ""
    licence = held.stance is Stance.GRANTS and held.aspect == "licence"
    return f"in these words since {day(held.begun)}{brought}; {'takes a licence' if licence else 'says so'} "


def _joined(answers: Sequence[str]) -> str:
    return "; ".join(_lowered(one) for one in answers)


def _lowered(said: str) -> str:
    return said[:1].lower() + said[1:]


def _since(held: Held) -> str:
    if held.starts:
        return f"from {day(held.starts)}, announced {day(held.since)}"
    return f"since {day(held.since)}{' or before' if held.from_first else ''}"


def _as_value(profile: Profile) -> dict[str, object]:
    cells = [*(profile.cell(aspect.key) for aspect in ASPECTS), *(profile.cell(key) for key in profile.other_aspects)]
    return {
        "service": profile.service,
        "service_name": profile.service_name,
        "documents": profile.sources,
        "answers": [
            {
                "aspect": cell.aspect.key,
                "question": cell.aspect.question,
                "answer": cell.answer,
                "direction": cell.tone,
                "read": cell.read,
                "promised": cell.gone,
                "stances": cell.held,
            }
            for cell in cells
        ],
    }


# --- rejudge ----------------------------------------------------------------------------------------------------------


@click.command("rejudge")
@click.argument("service", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def rejudge_command(settings: Settings, service: str | None, as_json: bool) -> int:
    """Judge all history (or that of SERVICE) by the rules in force, after they changed: what was missed is listed.

    What people were told stays as it was told, and nobody is alerted. It may be stopped at any time, and goes on from
    there.
    """
    from tosmon.judge import load_rules
    from tosmon.track.rejudging import rejudge

    with reading(settings) as (config, archive), stopping("finishing the document at hand") as stop:
        key = service_in(archive, service) if service else None
        rules = load_rules(config.rules)
        with counting() as count:
            step = partial(count, "documents")
            came = rejudge(archive, rules, now(), service=key, stop=stop.is_set, step=step)
        if as_json:
            print_json(_rejudging_value(came))
        else:
            _report(came)
    return INTERRUPTED if came.left else 0


def _report(came: Rejudging) -> None:
    console = stdout()
    for one in came.rejudged:
        console.print(styled(f"{one.outcome.value}: change {one.change.id}, {day(one.change.at)}", "bold"))
        if one.judgement.headline != one.change.headline:
            console.print(styled(f"  was  {one_line(one.change.headline)}", "dim"))
        console.print(styled(f"  now  {one_line(one.judgement.headline)}"))
    if not came.documents and not came.left:
        say("All history is judged by the rules in force; nothing to do.")
        return
    count = f"{came.documents} document{'s' if came.documents != 1 else ''}"
    looked = f"{came.changes} change{'s' if came.changes != 1 else ''} looked at"
    say(f"{count} judged by the rules in force; {looked}, {len(came.rejudged)} judged otherwise.")
    if came.left:
        say(f"Stopped; {came.left} documents are left. Go on with: tosmon rejudge", "yellow")


def _rejudging_value(came: Rejudging) -> dict[str, object]:
    return {
        "documents": came.documents,
        "changes_looked_at": came.changes,
        "documents_left": came.left,
        "rejudged": [
            {
                "change_id": one.change.id,
                "service": one.change.key.service,
                "type": one.change.key.type,
                "at": one.change.at,
                "outcome": one.outcome,
                "headline": one.judgement.headline,
                "headline_before": one.change.headline,
                "severity": one.judgement.severity,
                "severity_before": one.change.severity,
                "flags": one.judgement.flags,
                "flags_before": one.change.flags,
            }
            for one in came.rejudged
        ],
    }
