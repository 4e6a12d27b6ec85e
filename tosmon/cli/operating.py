"""`release`, `noise`, `volatile`, `variants`, `pause`, `resume`, `check-now` and `re-extract`: what an operator decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from tosmon.cli import UNREADABLE, Settings
from tosmon.cli.reading import Since
from tosmon.cli.serving import stopping
from tosmon.cli.terminal import ago, one_line, print_json, progress, say, stdout, styled
from tosmon.cli.wiring import config_of, declared_terms, now, reading, wanted, works_of
from tosmon.errors import TosmonError

if TYPE_CHECKING:
    from tosmon.archive import Archive
    from tosmon.model import Terms
    from tosmon.run import Works
    from tosmon.track.operating import Decided, Moving, Turning

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_NO_MAIL = click.option("--no-mail", is_flag=True, help="Leave mails in the outbox for the next time.")


# --- one change -----------------------------------------------------------------------------------------------------


@click.command("release")
@click.argument("change", type=int)
@_NO_MAIL
@_JSON
@click.pass_obj
def release_command(settings: Settings, change: int, no_mail: bool, as_json: bool) -> None:
    """Tell people of a CHANGE that was held back (its number: tosmon changes --all)."""
    from tosmon.track import operating

    with works_of(config_of(settings), lenient=True) as works:
        decided = operating.release(change, works.declared, works.world)
        _hand_over(works, no_mail)
    _report(decided, as_json, "released: people are told", "People were told of it before; nothing was done.")


@click.command("noise")
@click.argument("change", type=int)
@_NO_MAIL
@_JSON
@click.pass_obj
def noise_command(settings: Settings, change: int, no_mail: bool, as_json: bool) -> None:
    """Say that a CHANGE people were told of is none: they get a correction, and its place in the document is masked."""
    from tosmon.track import operating

    with works_of(config_of(settings), lenient=True) as works:
        decided = operating.mark_as_noise(change, works.declared, works.world)
        _hand_over(works, no_mail)
    _report(decided, as_json, "called noise", "Nobody was told of it, or it was called noise before; nothing was done.")
    if decided.done and not as_json:
        if decided.alert is not None:
            say("Who was told of it gets a correction.")
        if decided.parts:
            say(f"What changes in {_times(len(decided.parts), 'place')} is told no more; see: tosmon volatile")
        else:
            say("It is too much of the document to be masked: the next such change is told again.")


def _hand_over(works: Works, no_mail: bool) -> None:
    from tosmon import run

    run.publish_new(run.FeedFiles(works), works)
    if not no_mail:
        run.deliver(works)


def _report(decided: Decided, as_json: bool, done: str, otherwise: str) -> None:
    if as_json:
        print_json({
            "change": decided.change,
            "done": decided.done,
            "alert": decided.alert.uid if decided.alert else None,
            "masked": len(decided.parts),
        })  # fmt: skip
        return
    if not decided.done:
        say(f"Change {decided.change.id}: {otherwise}")
        return
    stdout().print(styled(f"Change {decided.change.id} is {done}."))
    stdout().print(styled(f"       {one_line(decided.change.headline)}"))


def _times(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count != 1 else ''}"


# --- what to declare otherwise --------------------------------------------------------------------------------------


@click.command("volatile")
@click.argument("services", nargs=-1, metavar="[SERVICE]…")
@click.option("--tell", type=int, metavar="PART", help="Tell of this part all the same.")
@click.option("--mask", type=int, metavar="PART", help="Tell of it no more.")
@_JSON
@click.pass_obj
def volatile_command(
    settings: Settings, services: tuple[str, ...], tell: int | None, mask: int | None, as_json: bool
) -> None:
    """List parts of documents that keep changing by themselves, of which nobody is told, and how to leave them out."""
    from tosmon.archive import Snapshots
    from tosmon.track.operating import moving_parts

    with reading(settings) as (config, archive):
        for part, shown in ((tell, True), (mask, False)):
            if part is not None and not archive.operating.show_part(part, shown):
                raise TosmonError(f"there is no part {part}; see: tosmon volatile")
        keys = {terms.key for terms in wanted(declared_terms(config), services)} if services else None
        found = moving_parts(archive, Snapshots(config.snapshots))
        found = [one for one in found if keys is None or one.found.key in keys]
    if as_json:
        print_json([_part_values(one) for one in found])
        return
    if not found:
        say("No part of a document keeps changing by itself.")
    console = stdout()
    for one in found:
        console.print(styled(_part_lines(one)))


def _part_values(one: Moving) -> dict[str, object]:
    found = one.found
    return {
        "part": found.id,
        "service": found.key.service,
        "type": found.key.type,
        "text": found.part.sample,
        "contents": found.part.contents,
        "since": found.since,
        "last_at": found.last_at,
        "noise": found.change_id,
        "told": found.shown,
        "remove": one.selector,
    }


def _part_lines(one: Moving) -> str:
    found, moment = one.found, now()
    why = (
        f"change {found.change_id} was called noise"
        if found.change_id is not None
        else f"{found.part.contents} different things stood there within three weeks"
    )
    lines = [
        f"{found.id:>5}  {one_line(found.key.service, 40)}, {one_line(found.key.type, 60)}",
        f"       “{one_line(found.part.sample, 200)}”",
        f"       {why}; last changed {ago(found.last_at, moment)}{'; told all the same' if found.shown else ''}",
    ]
    if one.selector is not None:
        lines.append(f"       to leave it out, declare: remove: [{one_line(one.selector, 200)!r}]")
    return "\n".join(lines)


@click.command("variants")
@click.argument("services", nargs=-1, metavar="[SERVICE]…")
@_JSON
@click.pass_obj
def variants_command(settings: Settings, services: tuple[str, ...], as_json: bool) -> None:
    """List documents that show several texts in turn (languages, regions), which should be declared apart."""
    from tosmon.track.operating import turning_texts

    with reading(settings) as (config, archive):
        keys = [terms.key for terms in wanted(declared_terms(config), services)]
        found = turning_texts(archive, now(), keys)
    if as_json:
        print_json([_turning_values(one) for one in found])
        return
    if not found:
        say("No document showed several texts in turn within the last three months.")
    console = stdout()
    for one in found:
        console.print(styled(_turning_lines(one)))


def _turning_values(one: Turning) -> dict[str, object]:
    return {
        "service": one.key.service,
        "type": one.key.type,
        "by": one.by,
        "strays": one.strays,
        "variants": [
            {
                "version_id": each.last.version_id,
                "last_at": each.last.at,
                "turns": each.turns,
                "language": each.last.language,
                "words": each.last.words,
                "urls": each.last.urls,
            }
            for each in one.variants
        ],
    }


_APART = {
    "language": "Declare an address that fixes the language (or set `language`), and the others as documents of their own.",
    "address": "Declare the address of the one you mean, and the others as documents of their own.",
    "region or test": "If an address fixes the region, declare that, and the other regions as documents of their own.",
}


def _turning_lines(one: Turning) -> str:
    moment = now()
    lines = [f"{one_line(one.key.service, 40)}, {one_line(one.key.type, 60)}: several texts in turn, by {one.by}"]
    if one.strays:
        lines.append(f"       {_times(one.strays, 'time')} in another language, last: {one_line(one.detail, 200)}")
    lines += [
        f"       version {each.last.version_id}: {_times(each.turns, 'time')}, last {ago(each.last.at, moment)}, "
        f"{each.last.language or 'unknown language'}, {each.last.words:,} words"
        + "".join(f", {one_line(url, 200)}" for url in each.last.urls[:1])
        for each in one.variants
    ]
    return "\n".join([*lines, f"       {_APART[one.by]}"])


# --- what cannot be read --------------------------------------------------------------------------------------------


@click.command("incidents")
@click.argument("services", nargs=-1, metavar="[SERVICE]…")
@click.option("--all", "everything", is_flag=True, help="Also those that are over.")
@_JSON
@click.pass_obj
def incidents_command(settings: Settings, services: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """List documents that cannot be read, why, since when, and when each was last seen whole."""
    with reading(settings) as (config, archive):
        keys = {terms.key for terms in wanted(declared_terms(config), services)} if services else None
        found = archive.browse.incidents(open_only=not everything)
    found = [one for one in found if keys is None or one.key in keys]
    if as_json:
        print_json(found)
        return
    if not found:
        say("Every document could be read at the last look." if not everything else "No document was ever unreadable.")
    console, moment = stdout(), now()
    for one in found:
        whole = f"last seen whole {ago(one.last_whole_at, moment)}" if one.last_whole_at else "never seen whole"
        over = f", over {ago(one.closed_at, moment)}" if one.closed_at else ""
        console.print(
            styled(f"{one_line(one.key.service, 40)}, {one_line(one.key.type, 60)}: {one.verdict.value}", "red")
        )
        console.print(styled(f"       {one_line(one.detail)}"))
        times = _times(one.looks, "look")
        console.print(styled(f"       since {ago(one.opened_at, moment)} ({times}){over}; {whole}", "dim"))


# --- looking, or not ------------------------------------------------------------------------------------------------


@click.command("pause")
@click.argument("service")
@click.argument("kinds", nargs=-1, metavar="[TYPE]…")
@_JSON
@click.pass_obj
def pause_command(settings: Settings, service: str, kinds: tuple[str, ...], as_json: bool) -> None:
    """Look at the documents of SERVICE (of these TYPEs) no more, until they are resumed."""
    _each(
        settings, service, kinds, as_json, lambda archive, terms, at: archive.operating.pause(terms.key, at),
        "paused", "paused before",
    )  # fmt: skip


@click.command("resume")
@click.argument("service")
@click.argument("kinds", nargs=-1, metavar="[TYPE]…")
@_JSON
@click.pass_obj
def resume_command(settings: Settings, service: str, kinds: tuple[str, ...], as_json: bool) -> None:
    """Look at paused documents of SERVICE (of these TYPEs) again, and at once."""
    _each(settings, service, kinds, as_json, _resumed, "resumed", "not paused here")


@click.command("check-now")
@click.argument("service")
@click.argument("kinds", nargs=-1, metavar="[TYPE]…")
@_JSON
@click.pass_obj
def check_now_command(settings: Settings, service: str, kinds: tuple[str, ...], as_json: bool) -> None:
    """Let the tosmon that runs look at SERVICE (at these TYPEs) now. To look yourself: tosmon check SERVICE."""
    _each(
        settings, service, kinds, as_json, lambda archive, terms, at: archive.check_soon(terms.key, at),
        "due now", "not looked at: see tosmon list",
    )  # fmt: skip


def _resumed(archive: Archive, terms: Terms, moment: datetime) -> bool:
    if terms.paused:
        say(f"{terms.key}: the configuration pauses it too; take `paused: true` out there", "yellow")
    return archive.operating.resume(terms.key, moment, declared_paused=terms.paused)


def _each(
    settings: Settings,
    service: str,
    kinds: Sequence[str],
    as_json: bool,
    act: Callable[[Archive, Terms, datetime], bool],
    done: str,
    otherwise: str,
) -> None:
    """Do something with each document of a service (of these types), and say what became of it."""
    with reading(settings) as (config, archive):
        documents = wanted(declared_terms(config), [service], kinds)
        moment = now()
        did = {terms.key: act(archive, terms, moment) for terms in documents}
    if as_json:
        print_json([{"service": key.service, "type": key.type, "done": each} for key, each in did.items()])
        return
    for key, each in did.items():
        stdout().print(styled(f"{one_line(key.service, 40)}, {one_line(key.type, 60)}: {done if each else otherwise}"))


# --- reading history anew -------------------------------------------------------------------------------------------


@click.command("re-extract")
@click.argument("services", nargs=-1, metavar="[SERVICE]…")
@click.option("--since", type=Since(), help="Only versions seen since: 2026-01-31, 7d, 12h.")
@_JSON
@click.pass_obj
def re_extract_command(settings: Settings, services: tuple[str, ...], since: datetime | None, as_json: bool) -> int:
    """Read recorded snapshots anew by today's extractor and selectors; what differs is technical, and never told.

    Can be interrupted; run again, it goes on where it stopped. Exits with 3 when a document was being looked at.
    """
    from tosmon.track.rereading import Reread, left_to_read, reread

    total = Reread()
    with works_of(config_of(settings), lenient=True) as works, stopping("finishing the versions at hand") as stop:
        documents = sorted(wanted(list(works.declared.values()), services), key=lambda terms: terms.key)
        left = sum(left_to_read(terms, works.world, since) for terms in documents)
        with progress("reading anew", left) as step:
            for terms in documents:
                name = str(terms.key)

                def report(versions: int, name: str = name) -> None:
                    for _ in range(versions):
                        step(name)

                total = total.plus(reread(terms, works.world, since, step=report, stop=stop.is_set))
        stopped = stop.is_set()
    if as_json:
        print_json({"read": total.read, "technical": total.technical, "unfit": total.unfit, "left": left - total.read})
    else:
        say(
            f"{_times(total.read, 'version')} read anew: {total.technical} differ (recorded as technical), "
            f"{total.unfit} cannot be read that way and stay as they are."
        )
        if total.busy:
            say("Some documents were being looked at; run it again for the rest.", "yellow")
    if stopped:
        raise KeyboardInterrupt
    return UNREADABLE if total.busy else 0
