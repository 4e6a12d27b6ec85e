"""`assess` and `extract`: what tosmon makes of files and pages at hand, without an archive or a configuration."""

from __future__ import annotations

import mimetypes
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from tosmon.cli import Settings
from tosmon.cli.terminal import harmless, print_json, say, stdout
from tosmon.errors import ExtractionError, FetchError, FetchProblem, TosmonError
from tosmon.model import ClauseChangeKind, Form, Reading, Response, SourceDocument, Terms, TermsKey

_LARGEST_FILE = 50_000_000
_PLAIN = {".md", ".markdown", ".txt", ""}
_SELECT = click.option("--select", "-s", multiple=True, metavar="CSS", help="What to take; may be given several times.")
_REMOVE = click.option("--remove", "-r", multiple=True, metavar="CSS", help="What to leave out of that.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command("assess")
@click.argument("before", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("after", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--service", default="", help="What to call the platform in the headline; else it is not named.")
@click.option("--type", "kind", default="Terms of Service", show_default=True, help="The type of the document.")
@click.option("--on", type=click.DateTime(["%Y-%m-%d"]), help="The day of the change; today unless given.")
@click.option("--rules", multiple=True, type=click.Path(exists=True, path_type=Path), help="Rule packs of your own.")
@click.option("--all", "everything", is_flag=True, help="Show moved, renumbered and cosmetic clauses too.")
@_JSON
def assess_command(
    before: Path,
    after: Path,
    service: str,
    kind: str,
    on: datetime | None,
    rules: tuple[Path, ...],
    everything: bool,
    as_json: bool,
) -> None:
    """Compare two texts of the same terms and say what the change does to people.

    BEFORE and AFTER are files: Markdown or plain text as they stand; HTML and PDF are read like pages.
    """
    from tosmon.clauses import split
    from tosmon.cli import showing
    from tosmon.compare import compare
    from tosmon.judge import judge, load_rules

    # Files end as they end: one more line break behind the last clause is no change of it.
    texts = [f"{_text_of(path).rstrip()}\n\n" for path in (before, after)]
    if texts[0] == texts[1] and not as_json:
        say("The two files are the same.")
        return
    comparison = compare(split(texts[0]), split(texts[1]))
    today = on.date() if on else datetime.now(UTC).date()
    judgement = judge(comparison, load_rules(rules), service_name=service, type=kind, at=today)
    if as_json:
        counts = {change.value: len(comparison.of(change)) for change in ClauseChangeKind}
        print_json({**_fields(judgement), "clauses": counts})
        return
    console = stdout()
    console.print(showing.judgement_shown(judgement, console))
    console.print("")
    console.print(showing.counts_shown(comparison))
    for shown in showing.changes_shown(comparison, everything=everything, console=console):
        console.print(shown)


@click.command("extract")
@click.argument("source", metavar="FILE|URL")
@_SELECT
@_REMOVE
@click.option("--type", "kind", default="Terms of Service", show_default=True, help="The type of the document.")
@click.option("--url", "base", metavar="URL", help="Where a FILE came from: its links lead there.")
@click.option("--browser", is_flag=True, help="Read a URL in a browser (extra `browser`).")
@click.option("--allow-private", is_flag=True, help="Fetch from loopback and private networks too.")
@_JSON
@click.pass_obj
def extract_command(
    settings: Settings,
    source: str,
    select: tuple[str, ...],
    remove: tuple[str, ...],
    kind: str,
    base: str | None,
    browser: bool,
    allow_private: bool,
    as_json: bool,
) -> None:
    """Print the text that tosmon reads on a page, as Markdown.

    A page as it is tracked when nothing but its URL is known; with --select and --remove, what those leave of it.
    """
    from tosmon import extract

    if "://" in source:
        from tosmon.cli.wiring import looked_at

        document = document_of(source, select, remove, browser=browser)
        try:
            response = looked_at(document, settings, allow_private=allow_private)
        except FetchError as error:
            if error.problem is not FetchProblem.FORBIDDEN_ADDRESS:
                raise
            raise TosmonError(
                f"{source}: no public address; to fetch from your own network add --allow-private"
            ) from error
    else:
        path = Path(source)
        document = document_of(base or "https://example.org/", select, remove)
        response = _response_of(path, document.url)
    terms = Terms(TermsKey("page", kind), "page", Form((document,)))
    reading = selected(extract.read([response], terms, response.at), document)
    suggestion = None if select else extract.suggest_selector(response)
    if as_json:
        words = len(reading.text.split())
        told = {"url": response.final_url, "status": response.status, "suggested": suggestion, "words": words}
        print_json({**_fields(reading), **told})
        return
    for missing in reading.missing:
        say(f"The selector {missing} matches nothing.", "yellow")
    if not reading.text.strip():
        raise TosmonError(f"{source}: nothing was found there")
    click.echo(harmless(reading.text))
    if suggestion:
        say(f"\nA selector for this: {suggestion}", "dim")


def selected(reading: Reading, document: SourceDocument) -> Reading:
    """The reading, if it was had by the selectors that were given: who tries them wants no other text instead."""
    if document.select and (reading.form != "declared" or not reading.text.strip()):
        raise TosmonError(f"{document.url}: the selectors match nothing there; see what is: tosmon extract URL")
    return reading


def document_of(url: str, select: tuple[str, ...], remove: tuple[str, ...], *, browser: bool = False) -> SourceDocument:
    """The source document that the options describe; a wrong URL or selector is a wrong usage."""
    from pydantic_core import PydanticCustomError

    from tosmon.config import values

    try:
        return SourceDocument(
            values.url(url), values.selectors(list(select)), values.selectors(list(remove)), browser=browser
        )
    except PydanticCustomError as error:
        raise click.UsageError(harmless(error.message())) from error


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def _text_of(path: Path) -> str:
    """The text of a file: Markdown and plain text as they stand, all else as it would be read from the web."""
    if path.suffix.lower() in _PLAIN:
        return _bytes_of(path).decode("utf-8-sig", "replace").replace("\r\n", "\n")
    from tosmon import extract

    response = _response_of(path, "https://example.org/")
    terms = Terms(TermsKey("file", "Terms of Service"), "file", Form((SourceDocument(response.url),)))
    try:
        text = extract.read([response], terms, response.at).text
    except ExtractionError as error:
        raise ExtractionError(f"{path}: {error}") from error
    if not text.strip():
        raise TosmonError(f"{path}: holds no text that could be found; give its text as a Markdown file")
    return text


def _bytes_of(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            body = stream.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise TosmonError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(body) > _LARGEST_FILE:
        raise TosmonError(f"{path}: larger than {_LARGEST_FILE // 1_000_000} MB; give the page alone")
    return body


def _response_of(path: Path, url: str) -> Response:
    """A file as if it had been fetched."""
    kind = mimetypes.guess_type(path.name)[0]
    headers = (("Content-Type", kind),) if kind else ()
    return Response(url, url, 200, headers, _bytes_of(path), datetime.fromtimestamp(0, UTC))
