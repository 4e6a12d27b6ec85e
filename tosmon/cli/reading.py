"""`list`, `changes`, `diff` and `show`: reading the archive on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import click
from rich.text import Text

from tosmon.archive import Archive, ChangeRow, TermsRow, VersionRow
from tosmon.cli import Settings
from tosmon.cli.terminal import ago, both, exact, harmless, one_line, print_json, say, stdout, styled, table
from tosmon.cli.wiring import archive_exists, config_of, declared_terms, names_known, now, opened_archive, reading
from tosmon.errors import TosmonError
from tosmon.model import ChangeState, Direction, Severity, Terms, TermsKey

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


# --- list -----------------------------------------------------------------------------------------------------------


@click.command("list")
@click.argument("services", nargs=-1)
@_JSON
@click.pass_obj
def list_command(settings: Settings, services: tuple[str, ...], as_json: bool) -> None:
    """List the documents that are tracked (those of SERVICES, if any are named), and how each of them stands."""
    config = config_of(settings)
    declared = declared_terms(config)
    rows: dict[TermsKey, TermsRow] = {}
    if archive_exists(config):
        with opened_archive(config) as archive:
            rows = {row.key: row for row in archive.browse.documents()}
    if services:
        known = [(terms.key.service, terms.service_name) for terms in declared]
        known += [(row.key.service, row.service_name) for row in rows.values()]
        names_known(services, [name for names in known for name in names])
        asked = {service.casefold() for service in services}
        keys = {key for key, name in known if {key.casefold(), name.casefold()} & asked}
        declared = [terms for terms in declared if terms.key.service in keys]
        rows = {key: row for key, row in rows.items() if key.service in keys}
    moment = now()
    if as_json:
        print_json([_document(terms.key, terms, rows.get(terms.key)) for terms in declared]
                   + [_document(key, None, row) for key, row in rows.items() if key not in _keys(declared)])  # fmt: skip
        return
    if not declared and not rows:
        say("Nothing is tracked yet. Add a document with: tosmon add URL")
        return
    console = stdout()
    listed: list[tuple[TermsKey, Terms | None, TermsRow | None]]
    listed = [(terms.key, terms, rows.get(terms.key)) for terms in declared]
    listed += [(key, None, row) for key, row in rows.items() if key not in _keys(declared)]
    shown = [_standing(key, terms, row, moment) for key, terms, row in listed]
    console.print(table(("Service", "Type", "State", "Last whole", "Next look", "Versions", "Changes"), shown))
    troubled = sum(1 for _, terms, row in listed if terms is not None and row is not None and row.incident is not None)
    total = f"{len(declared)} document{'s' if len(declared) != 1 else ''}"
    say(f"\n{total}, {troubled} of them cannot be read at present." if troubled else f"\n{total}.")


def _keys(declared: Sequence[Terms]) -> set[TermsKey]:
    return {terms.key for terms in declared}


def _standing(key: TermsKey, terms: Terms | None, row: TermsRow | None, moment: datetime) -> list[str | Text]:
    last = ago(row.last_whole_at, moment) if row else "never"
    due = ago(row.due_at, moment) if row and terms and not _is_paused(terms, row) else "–"
    counts = (str(row.versions), str(row.changes_told)) if row else ("0", "0")
    return [one_line(key.service, 40), one_line(key.type, 40), _state(terms, row), last, due, *counts]


def _is_paused(terms: Terms | None, row: TermsRow | None) -> bool:
    """By the configuration, or by the operator."""
    return terms is not None and (terms.paused or (row is not None and row.paused))


def _state(terms: Terms | None, row: TermsRow | None) -> Text:
    if terms is None:
        return Text("no longer tracked", style="dim")
    if _is_paused(terms, row):
        return Text("paused", style="dim")
    if row is None or row.last_checked_at is None:
        return Text("not looked at yet", style="dim")
    if row.incident is not None:
        return styled(f"{row.incident.value}: {one_line(row.incident_detail, 60)}".rstrip(": "), "red")
    return Text("ok", style="green")


def _document(key: TermsKey, terms: Terms | None, row: TermsRow | None) -> dict[str, object]:
    return {
        "service": key.service,
        "type": key.type,
        "url": terms.url if terms else row.url if row else None,
        "tracked": terms is not None,
        "paused": _is_paused(terms, row),
        "tags": terms.tags if terms else (),
        "interval_seconds": terms.interval if terms else None,
        "last_checked_at": row.last_checked_at if row else None,
        "last_whole_at": row.last_whole_at if row else None,
        "due_at": row.due_at if row else None,
        "versions": row.versions if row else 0,
        "changes_told": row.changes_told if row else 0,
        "incident": row.incident if row else None,
        "incident_detail": row.incident_detail if row else "",
    }


# --- changes --------------------------------------------------------------------------------------------------------


class Since(click.ParamType[datetime]):
    """A day, an instant, or how long ago: `2026-01-31`, `2026-01-31T12:00:00Z`, `7d`."""

    name = "since"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        from pydantic_core import PydanticCustomError

        from tosmon.config.values import duration

        if isinstance(value, datetime):
            return value
        text = str(value)
        try:
            return now() - duration(text)
        except PydanticCustomError:
            pass
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            self.fail(f"expected a day such as 2026-01-31, or 12h, 7d, 4w; got {harmless(text)!r}", param, ctx)
        return found if found.tzinfo else found.replace(tzinfo=UTC)


class Then(Since):
    """An instant as `Since` reads it; a day stands for its last moment, as everywhere in the archive."""

    name = "when"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        found = super().convert(value, param, ctx)
        if isinstance(value, str) and len(value) == 10 and found.time() == datetime.min.time():
            return found + timedelta(days=1, microseconds=-1)
        return found


@click.command("changes")
@click.argument("service", required=False)
@click.argument("kind", metavar="[TYPE]", required=False)
@click.option("--topic", help="Only changes flagged with this topic (ai_training, content_license, …).")
@click.option("--direction", type=click.Choice([one.value for one in Direction]), help="Only flags that go this way.")
@click.option("--severity", type=click.Choice([one.value for one in Severity]), help="Only changes of this severity.")
@click.option("--since", type=Since(), help="Only changes seen since: 2026-01-31, 7d, 12h.")
@click.option("--all", "everything", is_flag=True, help="Also changes nobody was told of, with the reason.")
@click.option("--limit", "-n", type=click.IntRange(1, 10_000), default=20, show_default=True, help="At most so many.")
@_JSON
@click.pass_obj
def changes_command(
    settings: Settings,
    service: str | None,
    kind: str | None,
    topic: str | None,
    direction: str | None,
    severity: str | None,
    since: datetime | None,
    everything: bool,
    limit: int,
    as_json: bool,
) -> None:
    """List what changed, the latest first: the changes that people were told of, or all recorded ones."""
    with reading(settings) as (_, archive):
        key = service_in(archive, service) if service else None
        found = archive.browse.changes(
            service=key,
            type=_type_in(archive, key, kind).type if key and kind else None,
            topic=_topic_in(archive, topic) if topic else None,
            direction=Direction(direction) if direction else None,
            severity=Severity(severity) if severity else None,
            since=since,
            told_only=not everything,
            limit=limit,
        )
        versions = 0 if found else archive.browse.counts()["versions"]
        unread = 0 if found or versions else len(archive.browse.incidents())
    if as_json:
        print_json(found)
        return
    if not found:
        say(_nothing_changed(versions, unread, filtered=any((service, topic, direction, severity, since))))
        return
    console = stdout()
    for row in found:
        console.print(_change_lines(row))
    say(f"\nSee one whole with: tosmon diff {found[0].id}", "dim")


def _nothing_changed(versions: int, unread: int, *, filtered: bool) -> str:
    if unread:
        return nothing_read(unread)
    if filtered:
        return "No change fits that. Leave a filter out, or add --all to see those nobody was told of."
    if versions:
        return f"No change yet in {versions} version{'s' if versions > 1 else ''}; see also: tosmon changes --all"
    return "Nothing is archived yet; look for the first time with: tosmon check"


def nothing_read(unread: int) -> str:
    """What is said where documents were looked at, and none could be read."""
    return f"Nothing is archived yet: {unread} document{'s' if unread > 1 else ''} could not be read; see: tosmon incidents"


def _change_lines(row: ChangeRow) -> Text:
    from tosmon.cli.showing import direction_words, severity_word

    text = Text.assemble(
        (f"{row.id:>5}  ", "bold"), severity_word(row.severity), "  ", styled(one_line(row.headline), "bold")
    )
    told = [f"{one_line(row.service_name, 40)}, {one_line(row.key.type, 40)}", f"seen {both(row.at, now())}"]
    if row.effective_date:
        told.append(f"in force from {row.effective_date.isoformat()}")
    text.append("\n       " + " · ".join(told), style="dim")
    if row.state is not ChangeState.TOLD:
        text.append(f"\n       {row.state.value}: {one_line(row.reason)}", style="yellow")
    if row.flags:
        text.append("\n       ")
        text.append_text(direction_words(row.flags))
    return text


# --- diff -----------------------------------------------------------------------------------------------------------


@click.command("diff")
@click.argument("what", metavar="CHANGE|SERVICE")
@click.argument("kind", metavar="[TYPE]", required=False)
@click.option("--from", "before", type=int, metavar="VERSION", help="Compare this version …")
@click.option("--to", "after", type=int, metavar="VERSION", help="… with this one; else the latest.")
@click.option("--all", "everything", is_flag=True, help="Whole clauses; moved, renumbered and cosmetic ones too.")
@_JSON
@click.pass_obj
def diff_command(
    settings: Settings,
    what: str,
    kind: str | None,
    before: int | None,
    after: int | None,
    everything: bool,
    as_json: bool,
) -> None:
    """Show one change, clause by clause, with the words marked.

    CHANGE is a number from `tosmon changes`; for a SERVICE (and TYPE) the last change of it is shown, or any two
    versions with --from and --to (their numbers: `tosmon show SERVICE TYPE --versions`).
    """
    from tosmon.cli import showing
    from tosmon.compare import compare, edits

    with reading(settings) as (_, archive):
        change = None
        if before is None and after is None:
            change = _change_in(archive, what, kind)
            before_id, after_id = change.before_id, change.after_id
        else:
            before_id, after_id = _pair_in(archive, document_in(archive, what, kind), before, after)
        browse = archive.browse
        comparison = compare(browse.clauses(before_id), browse.clauses(after_id))
    if as_json:
        clauses = [
            {
                "kind": one.kind,
                "before": comparison.before[one.before].text if one.before is not None else None,
                "after": comparison.after[one.after].text if one.after is not None else None,
                "edits": edits(
                    comparison.before[one.before].text if one.before is not None else "",
                    comparison.after[one.after].text if one.after is not None else "",
                ),
            }
            for one in comparison.changes
        ]
        print_json({"change": change, "before_id": before_id, "after_id": after_id, "clauses": clauses})
        return
    console = stdout()
    if change is not None:
        effective = f"In force from {change.effective_date.isoformat()}." if change.effective_date else ""
        untold = "" if change.state is ChangeState.TOLD else f"{change.state.value.capitalize()}: {change.reason}."
        console.print(
            showing.headline_shown(
                change.headline,
                change.severity,
                change.summary,
                effective,
                change.flags,
                console,
                silent=change.silent,
                untold=untold,
            )
        )
        console.print(styled(f"{change.key} · seen {both(change.at, now())} · {one_line(change.url)}", "dim"))
        console.print("")
    console.print(showing.counts_shown(comparison))
    for shown in showing.changes_shown(comparison, everything=everything, console=console):
        console.print(shown)


def _change_in(archive: Archive, what: str, kind: str | None) -> ChangeRow:
    if what.isdigit() and kind is None and not _has_service(archive, what):
        change = archive.browse.change(int(what))
        if change is None:
            raise TosmonError(f"there is no change {what}; see: tosmon changes --all")
        return change
    document = document_in(archive, what, kind, changed=True)
    found = archive.browse.changes(service=document.key.service, type=document.key.type, told_only=False, limit=1)
    if not found:
        raise TosmonError(f"{document.key} has not changed yet; its text: tosmon show {document.key.service}")
    return found[0]


def _pair_in(archive: Archive, document: TermsRow, before: int | None, after: int | None) -> tuple[int, int]:
    versions = {version.id: version for version in archive.browse.versions(document.key)}
    for wanted in (before, after):
        if wanted is not None and wanted not in versions:
            raise TosmonError(f"{document.key} has no version {wanted}; see: tosmon show … --versions")
    last = after if after is not None else max(versions, default=0)
    first = (
        before
        if before is not None
        else versions[last].previous_id or max((v for v in versions if v < last), default=0)
    )
    if last not in versions or first not in versions:
        raise TosmonError(f"{document.key} has only one version; there is nothing to compare")
    return first, last


# --- show -----------------------------------------------------------------------------------------------------------


@click.command("show")
@click.argument("service")
@click.argument("kind", metavar="[TYPE]", required=False)
@click.option("--at", type=Then(), metavar="WHEN", help="As it was then: 2026-01-31, 30d.")
@click.option("--version", "version_id", type=int, metavar="VERSION", help="This version.")
@click.option("--versions", "listed", is_flag=True, help="List the versions instead.")
@_JSON
@click.pass_obj
def show_command(
    settings: Settings,
    service: str,
    kind: str | None,
    at: datetime | None,
    version_id: int | None,
    listed: bool,
    as_json: bool,
) -> None:
    """Print the text of a document as it is, or as it was, as Markdown."""
    from tosmon.clauses import join

    with reading(settings) as (_, archive):
        document = document_in(archive, service, kind)
        if listed:
            _list_versions(archive.browse.versions(document.key), as_json)
            return
        version = _version_in(archive, document, at, version_id)
        text = join(archive.browse.clauses(version.id))
    if as_json:
        print_json({"document": document, "version": version, "text": text})
        return
    if document.incident is not None and at is None and version_id is None:
        say(f"Cannot be read at present ({document.incident.value}); this is the last whole text.", "yellow")
    click.echo(harmless(text))
    say(
        f"\n{document.key} · version {version.id} of {exact(version.at)} · {version.words:,} words · {document.url}",
        "dim",
    )


def _list_versions(versions: Sequence[VersionRow], as_json: bool) -> None:
    if as_json:
        print_json(versions)
        return
    moment = now()
    rows = [
        (str(one.id), both(one.at, moment), f"{one.words:,}", "read anew" if one.technical else "") for one in versions
    ]
    stdout().print(table(("Version", "Seen", "Words", ""), rows))


def _version_in(archive: Archive, document: TermsRow, at: datetime | None, version_id: int | None) -> VersionRow:
    browse = archive.browse
    if at is not None:
        version = browse.version_at(document.key, at)
        if version is None:
            raise TosmonError(f"{document.key}: the archive does not go back to {exact(at)}")
        return version
    wanted = version_id if version_id is not None else document.latest_version_id
    if wanted is None:
        raise TosmonError(f"{document.key} has no version yet; look at it with: tosmon check {document.key.service}")
    version = browse.version(wanted)
    if version is None or version.key != document.key:
        raise TosmonError(f"{document.key} has no version {wanted}; see: tosmon show … --versions")
    return version


# --- finding what was meant -------------------------------------------------------------------------------------------


def _has_service(archive: Archive, name: str) -> bool:
    return any(row.key == name for row in archive.browse.services())


def service_in(archive: Archive, name: str) -> str:
    """The key of a service, given its key or name in any letter case; raises TosmonError naming a near one."""
    from difflib import get_close_matches

    names = archive.browse.service_names()
    known = {called.casefold(): key for key, called_so in names.items() for called in (called_so, key)}
    found = known.get(name.casefold())
    if found is None:
        near = get_close_matches(name.casefold(), known, n=1)
        hint = f"did you mean {names[known[near[0]]]}?" if near else "see: tosmon list"
        raise TosmonError(f"the archive has no service {name}; {hint}")
    return found


def _topic_in(archive: Archive, written: str) -> str:
    """A topic of the rules or of the archive's flags, in any letter case; raises TosmonError naming those there are."""
    from difflib import get_close_matches

    from tosmon.publish.words import TOPICS

    known = list(dict.fromkeys((*TOPICS, *archive.browse.topics())))
    wanted = written.casefold().replace("-", "_").replace(" ", "_")
    if wanted in known:
        return wanted
    near = get_close_matches(wanted, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise TosmonError(f"there is no topic {written}; {hint}There are: {', '.join(known)}")


def _type_in(archive: Archive, service: str, kind: str) -> TermsKey:
    return document_in(archive, service, kind).key


def document_in(archive: Archive, service: str, kind: str | None, *, changed: bool = False) -> TermsRow:
    """The document that was meant: by its type, or the beginning of it, or the only one there is.

    With `changed` and no type, the one that changed last.
    """
    key = service_in(archive, service)
    documents = archive.browse.documents(key)
    wanted = (kind or "").casefold()
    found = [row for row in documents if row.key.type.casefold() == wanted]
    found = found or [row for row in documents if row.key.type.casefold().startswith(wanted)]
    if kind is None and changed and len(found) > 1:
        last = archive.browse.changes(service=key, told_only=False, limit=1)
        found = [row for row in found if last and row.key == last[0].key] or found
    if len(found) != 1:
        named = ", ".join(f'"{row.key.type}"' for row in documents)
        raise TosmonError(f"{key}: which document? Give one of these after the service: {named}")
    return found[0]
