"""`import ota`: declarations of Open Terms Archive, written into a configuration of ours.

Tracking a checkout as it lies needs no import (`declarations`); this is for people who want to go on by themselves. What
is imported is tracked as the checkout would be: each document is read back from the lines that were written for it, and
one that our form cannot say is left out and told, never bent.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from tosmon.cli import Settings
from tosmon.cli.terminal import one_line, print_json, say, stdout, styled
from tosmon.config import Config, InvalidConfig, config_from, load_config
from tosmon.config.editing import NewTerms, as_written, with_terms
from tosmon.config.schema import DeclaredService
from tosmon.config.written import read_yaml
from tosmon.errors import ConfigError
from tosmon.model import Terms, TermsKey


@click.command("ota")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--service", "-S", "services", multiple=True, metavar="KEY", help="Only these services (file names).")
@click.option("--tag", "tags", multiple=True, metavar="TEXT", help="A word to group the imported documents by.")
@click.option("--dry-run", is_flag=True, help="Print the lines that would be added, and add nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print what became of each document as JSON.")
@click.pass_obj
def import_ota_command(
    settings: Settings, folder: Path, services: tuple[str, ...], tags: tuple[str, ...], dry_run: bool, as_json: bool
) -> None:
    """Write the declarations of Open Terms Archive in FOLDER into the configuration.

    FOLDER holds SERVICE.json files, or is a checkout with them in `declarations`. Documents that are in the
    configuration already stay as they are, so importing twice is importing once; comments and all other lines stay.
    """
    from tosmon.cli.wiring import config_file, config_of

    path, config = config_file(settings), config_of(settings)
    plan = planned(_declared(folder, services), config, tags)
    if plan.new and not dry_run:
        add_terms(path, plan.new)
    lines = as_written(plan.new) if plan.new else ""
    if as_json:
        print_json({"folder": folder, "configuration": path, "written": bool(plan.new) and not dry_run,
                    "added": [TermsKey(new.service, new.type) for new in plan.new], "same": plan.same,
                    "different": plan.different, "left_out": [{"key": key, "reason": why} for key, why in plan.left_out],
                    "unknown_filters": [{"key": key, "filter": name} for key, name in plan.unknown_filters],
                    "lines": lines})  # fmt: skip
        return
    if dry_run and lines:
        stdout().print(styled(lines.rstrip("\n")), soft_wrap=True)
    _tell(plan, path, config, folder, dry_run)


@dataclass(frozen=True, slots=True)
class Plan:
    """What an import comes to: documents to add, and those that stay as they are, with the reason."""

    new: tuple[NewTerms, ...]
    same: tuple[TermsKey, ...] = ()
    different: tuple[TermsKey, ...] = ()
    left_out: tuple[tuple[TermsKey, str], ...] = ()
    unknown_filters: tuple[tuple[TermsKey, str], ...] = ()


def planned(declared: Sequence[Terms], config: Config, tags: tuple[str, ...] = ()) -> Plan:
    """What to add to a configuration so that it tracks those documents too; nothing that is there is changed."""
    from tosmon.declarations import unknown_filters

    tracked = {(terms.key.service.casefold(), terms.key.type.casefold()): terms for terms in config.terms()}
    services = {service.key.casefold(): service for service in config.services}
    new: list[NewTerms] = []
    same: list[TermsKey] = []
    different: list[TermsKey] = []
    left_out: list[tuple[TermsKey, str]] = []
    unknown: list[tuple[TermsKey, str]] = []
    for terms in declared:
        known = tracked.get((terms.key.service.casefold(), terms.key.type.casefold()))
        if known is not None:
            (same if _read_alike(known, terms) else different).append(terms.key)
            continue
        made = NewTerms(terms.key.service, terms.key.type, terms.form, terms.service_name, tags, terms.earlier_forms)
        problem = _conflict(services.get(terms.key.service.casefold()), terms) or _problem(made, terms)
        if problem:
            left_out.append((terms.key, problem))
            continue
        new.append(made)
        unknown += [(terms.key, name) for name in unknown_filters(terms)]
    return Plan(tuple(new), tuple(same), tuple(different), tuple(left_out), tuple(unknown))


def _conflict(service: DeclaredService | None, terms: Terms) -> str:
    """What a service that is in the configuration already would make of a document of it, if that is not what it says."""
    if service is None:
        return ""
    if service.key != terms.key.service:
        return f"the service is there as {service.key}"
    if service.browser and not all(source.browser for source in terms.form.sources):
        return "the service is there with `browser: true`, which would hold for it too"
    return ""


def _problem(made: NewTerms, terms: Terms) -> str:
    """Why our form cannot say what was declared; empty if what is read back is just that."""
    try:
        (read,) = config_from(read_yaml(as_written([made])).values, Path()).terms()
    except InvalidConfig as error:
        return "; ".join(str(problem) for problem in error.problems)
    return "" if _read_alike(read, terms) else "its declaration cannot be written exactly"


def _read_alike(one: Terms, other: Terms) -> bool:
    return (one.form, one.earlier_forms) == (other.form, other.earlier_forms)


def _declared(folder: Path, services: tuple[str, ...]) -> list[Terms]:
    from tosmon.declarations import read_declarations

    declared = read_declarations(folder)  # which warns of each filter that is not known
    asked = {service.casefold() for service in services}
    known = {terms.key.service.casefold() for terms in declared}
    if asked - known:
        raise ConfigError(f"{folder} declares no service {', '.join(sorted(asked - known))}")
    return [terms for terms in declared if not asked or terms.key.service.casefold() in asked]


def _tell(plan: Plan, path: Path, config: Config, folder: Path, dry_run: bool) -> None:
    for key, why in plan.left_out:
        say(f"{one_line(str(key))}: left out: {one_line(why, 400)}", "yellow")
    for key in plan.different:
        say(f"{one_line(str(key))}: differs from {path}, which stays as it is", "yellow")
    counted = f"{len(plan.new)} documents of {len({new.service for new in plan.new})} services"
    if not plan.new:
        say(f"Nothing to add: {len(plan.same)} documents are in {path} as they are declared.", "green")
    elif dry_run:
        say(f"Would add {counted} to {path}; {len(plan.same)} are there already.")
    else:
        say(f"Added {counted} to {path}; {len(plan.same)} were there already.", "green")
    inner = folder.resolve() / "declarations"
    if {folder.resolve(), inner} & {place.resolve() for place in config.declarations}:
        say(f"{folder} is tracked as it lies, too (`declarations`): take one of the two out.", "yellow")


def add_terms(path: Path, new: Sequence[NewTerms]) -> None:
    """Add documents to a configuration, which is replaced in one step, after a check that it can be used."""
    place = path.resolve()  # a link stays a link
    changed = with_terms(place.read_text(encoding="utf-8"), new)
    try:
        number, draft = tempfile.mkstemp(prefix=".config-", suffix=".yaml", dir=place.parent)
        try:
            with os.fdopen(number, "w", encoding="utf-8", newline="") as stream:
                stream.write(changed)
                stream.flush()
                os.fsync(stream.fileno())
            load_config(Path(draft), os.environ)
            Path(draft).chmod(place.stat().st_mode & 0o777)
            Path(draft).replace(place)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}") from error
