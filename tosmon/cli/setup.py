"""`init` and `add`: from nothing to a configuration that tracks what one cares about."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

import click
from pydantic_core import PydanticCustomError

from tosmon.cli import Settings
from tosmon.cli.declaring import add_terms
from tosmon.cli.pairs import document_of, selected
from tosmon.cli.terminal import harmless, one_line, print_json, say, stdout, styled
from tosmon.config import user_config, values
from tosmon.config.editing import NewTerms, quoted
from tosmon.errors import ConfigError, TosmonError
from tosmon.model import Form, Reading, Response, SourceDocument, Terms, TermsKey

_EMPTY = """\
# tosmon's configuration; every setting: docs/configuration.md. Add documents with: tosmon add URL
services:
"""


@click.command("init")
@click.option("--empty", is_flag=True, help="Track nothing yet; else two dozen platforms that creators use.")
@click.option("--user", is_flag=True, help="Write your own configuration (~/.config/tosmon) instead of ./config.yaml.")
@click.option("--contact", metavar="TEXT", help="A URL or mail address that platforms can write to.")
@click.pass_obj
def init_command(settings: Settings, empty: bool, user: bool, contact: str | None) -> None:
    """Write a first configuration, with a comment beside each setting.

    Never replaces one that is there.
    """
    path = settings.config or (user_config() if user else Path("config.yaml"))
    text = _EMPTY if empty else resources.files("tosmon.config").joinpath("example.yaml").read_text("utf-8")
    if contact is not None:
        text = _with_contact(text, contact)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise ConfigError(f"{path} is there already; edit it, or give another place with --config") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}") from error
    option = "" if settings.config is None else f"--config {path} "
    console = stdout()
    console.print(styled(f"Wrote {path}", "bold"))
    console.print(styled("Next: have a look at it, then"))
    name = _own_name()
    console.print(styled(f"  {name} {option}check    look at every document once"))
    console.print(styled(f"  {name} {option}run      look when it is time, and serve the archive in the browser"))


def _own_name() -> str:
    """How this command is called from here: after `make run` it stands in a folder that is not on the path."""
    called = sys.argv[0]
    return called if Path(called).name == "tosmon" and shutil.which("tosmon") is None else "tosmon"


def _with_contact(text: str, contact: str) -> str:
    try:
        written = quoted(values.header(contact))
    except PydanticCustomError as error:
        raise click.UsageError(f"--contact: {harmless(error.message())}") from error
    changed, count = re.subn(r"^  # contact: .*$", lambda _: f"  contact: {written}", text, flags=re.MULTILINE)
    return changed if count else f"{text}\npoliteness:\n  contact: {written}\n"


# --- add -----------------------------------------------------------------------------------------------------------


@click.command("add")
@click.argument("url")
@click.option("--service", "-S", metavar="KEY", help="The platform's key; else made from the host name.")
@click.option("--name", metavar="TEXT", help="What people call it, if that is not the key.")
@click.option("--type", "kind", metavar="TYPE", help='"Terms of Service", "Privacy Policy", …; else guessed.')
@click.option("--select", "-s", multiple=True, metavar="CSS", help="What to take; may be given several times.")
@click.option("--remove", "-r", multiple=True, metavar="CSS", help="What to leave out of that.")
@click.option("--suggested", is_flag=True, help="Take what tosmon's own suggestion selects.")
@click.option("--tag", "tags", multiple=True, metavar="TEXT", help="A word to group by.")
@click.option("--browser", is_flag=True, help="Read it in a browser (extra `browser`).")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print what would be tracked as JSON, and add nothing without --yes."
)
@click.pass_obj
def add_command(
    settings: Settings,
    url: str,
    service: str | None,
    name: str | None,
    kind: str | None,
    select: tuple[str, ...],
    remove: tuple[str, ...],
    suggested: bool,
    tags: tuple[str, ...],
    browser: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Look at a URL, show what would be tracked, and add it to the configuration after you agree.

    Only lines are added to the configuration: what is there, comments included, stays as it is.
    """
    from tosmon import extract
    from tosmon.cli.wiring import config_file, config_of, looked_at

    path, config = config_file(settings), config_of(settings)
    document = document_of(url, select, remove, browser=browser)
    key = TermsKey(_checked_key(service or guessed_service(url)), _checked_key(kind or "Terms of Service"))
    response = looked_at(document, settings)
    suggestion = extract.suggest_selector(response)
    if suggested and suggestion:
        document = SourceDocument(url, (suggestion,), document.remove, browser=browser)
    reading = _read(document, key, response)
    if kind is None:
        key = TermsKey(key.service, guessed_type(url, reading.title, reading.text))
    if any(terms.key == key for terms in config.terms()):
        raise ConfigError(f"{key} is tracked already ({path}); give another --service or --type")
    new = NewTerms(
        key.service,
        key.type,
        Form((document,)),
        name or "",
        tags,
    )
    words = len(reading.text.split())
    if as_json:
        print_json({"key": key, "url": url, "final_url": response.final_url, "status": response.status,
                    "title": reading.title, "words": words, "missing": reading.missing, "select": document.select,
                    "suggested": suggestion, "added": yes, "text": reading.text})  # fmt: skip
    else:
        _show(new, reading, response, words, suggestion)
    if not reading.text.strip() or response.status >= 400:
        raise TosmonError(f"{url}: holds nothing to track; try --select, --browser, or another address")
    if yes or (not as_json and _agreed(path)):
        add_terms(path, [new])
        say(f"Added to {path}. Look at it now with: tosmon check {_shell(new.service)}", "green")


def _read(document: SourceDocument, key: TermsKey, response: Response) -> Reading:
    from tosmon import extract

    return selected(extract.read([response], Terms(key, key.service, Form((document,))), response.at), document)


def _show(new: NewTerms, reading: Reading, response: Response, words: int, suggestion: str | None) -> None:
    console = stdout()
    (document,) = new.form.sources
    select = [one for one in document.select if isinstance(one, str)]
    rows = {
        "Service": new.service + (f" ({new.name})" if new.name else ""),
        "Type": new.type,
        "Title": reading.title or "(none)",
        "Address": document.url if response.final_url == document.url else f"{document.url} → {response.final_url}",
        "Answer": str(response.status),
        "Words": f"{words:,}",
        "Selects": ", ".join(select) or "the text that tosmon finds by itself",
    }
    if suggestion and suggestion not in select:
        rows["Suggested"] = f"{suggestion}   (take it with --suggested)"
    for label, value in rows.items():
        console.print(styled(f"{label + ':':<11}{one_line(value, 400)}"))
    for missing in reading.missing:
        console.print(styled(f"The selector {one_line(missing)} matches nothing.", "yellow"))
    console.print(styled("\nIt begins:", "bold"))
    for line in [line for line in reading.text.split("\n") if line.strip()][:8]:
        console.print(styled(f"  {one_line(line, 140)}"))
    console.print("")


def _agreed(path: Path) -> bool:
    if not sys.stdin.isatty():
        say(f"Nothing was added to {path}: say --yes to add it without being asked.", "yellow")
        return False
    return click.confirm(f"Add it to {path}?", default=True, err=True)


def _shell(word: str) -> str:
    return shlex.quote(word)


# --- guesses ---------------------------------------------------------------------------------------------------------

# In the order of trial: the first that the address or the title speaks of.
_TYPES = (
    ("Privacy Policy", r"privacy|datenschutz|confidentialit|privacidad|gdpr"),
    ("Trackers Policy", r"cookie|trackers?\b"),
    ("Community Guidelines", r"guidelines|community[ _-](?:standards|rules)|code[ _-]of[ _-]conduct"),
    ("Copyright Claims Policy", r"copyright|dmca|intellectual[ _-]property"),
    ("Acceptable Use Policy", r"acceptable[ _-]use|\baup\b"),
    ("Developer Terms", r"developer|\bapi\b"),
    ("Data Processor Agreement", r"data[ _-]process|\bdpa\b"),
    ("Imprint", r"imprint|impressum|mentions[ _-]legales|legal[ _-]notice"),
    ("Terms of Service", r"terms|\btos\b|conditions|user[ _-]agreement|\bagb\b|nutzungsbedingungen|eula"),
)
_SECOND_LEVEL = {"co", "com", "org", "net", "ac", "gov", "edu"}


def guessed_service(url: str) -> str:
    """The name in the middle of a host: `https://help.inkwell.co.uk/x` gives "Inkwell"."""
    parts = (urlsplit(url).hostname or "service").split(".")
    if all(part.isdigit() for part in parts) or len(parts) < 2:
        return ".".join(parts)
    labels = parts[:-1]
    if len(labels) > 1 and labels[-1] in _SECOND_LEVEL:
        labels = labels[:-1]
    return labels[-1][:1].upper() + labels[-1][1:]


def guessed_type(url: str, title: str, text: str) -> str:
    """The type of terms that the title, the path, or else the first lines speak of."""
    parts = urlsplit(url)
    for place in (title, f"{parts.path} {parts.query}", text[:400]):
        for kind, pattern in _TYPES:
            if re.search(pattern, place, re.IGNORECASE):
                return kind
    return "Terms of Service"


def _checked_key(text: str) -> str:
    try:
        return values.key(text)
    except PydanticCustomError as error:
        raise click.UsageError(harmless(error.message())) from error
