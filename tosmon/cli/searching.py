"""`search`: who says this, since when, and who said it once."""

from __future__ import annotations

from datetime import datetime

import click
from rich.text import Text

from tosmon.archive.search import MOST, Hit, Order, Query, Stand, marks, parse
from tosmon.clauses import plain
from tosmon.cli import Settings
from tosmon.cli.reading import Since, Then, service_in
from tosmon.cli.terminal import exact, harmless, one_line, print_json, say, stdout
from tosmon.cli.wiring import reading, type_meant
from tosmon.errors import TosmonError

_LONG = 600


@click.command("search")
@click.argument("words", nargs=-1, required=True)
@click.option("--service", metavar="NAME", help="In the documents of this service alone.")
@click.option("--type", "type_", metavar="TYPE", help="In documents of this type alone.")
@click.option("--since", type=Since(), help="What stood at some time since then: 2026-01-31, 7d.")
@click.option("--until", type=Then(), help="What stood at some time until then.")
@click.option("--without", multiple=True, metavar="WORD", help="Leave out clauses with this word or phrase.")
@click.option("--first", is_flag=True, help="Who said it first comes first; else what stands now.")
@click.option(
    "--limit", "-n", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many clauses at most."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def search_command(
    settings: Settings,
    words: tuple[str, ...],
    service: str | None,
    type_: str | None,
    since: datetime | None,
    until: datetime | None,
    without: tuple[str, ...],
    first: bool,
    limit: int,
    as_json: bool,
) -> None:
    """Find clauses of all times with all of WORDS: what stands now, then what is gone.

    Several words in one argument are looked for side by side ("machine learning"); train* finds training, too.
    """
    query = parse(" ".join([*(_asked(one) for one in words), *(f"-{_asked(one)}" for one in without)]))
    if not query:
        raise TosmonError("there is no word to look for; try: tosmon search train models")
    with reading(settings) as (_, archive):
        found = archive.browse.search(
            query,
            service=service_in(archive, service) if service else None,
            type=type_meant(type_, [row.key.type for row in archive.browse.documents()]) if type_ else None,
            since=since,
            until=until,
            order=Order.FIRST if first else Order.STANDING,
            limit=limit,
        )
    if as_json:
        print_json({"total": found.total, "more": found.more, "hits": found.hits})
        return
    if not found.hits:
        say("No clause says that.")
        return
    console = stdout()
    for hit in found.hits:
        for line in _shown(query, hit):
            console.print(line)
        console.print()
    shown = len(found.hits)
    if found.more:
        say(f"{shown} of more than {MOST:,}; say more to find fewer.")
    else:
        say(f"{shown} of {found.total:,}." if shown < found.total else f"{found.total:,} in all.")


def _asked(argument: str) -> str:
    """An argument of several words is a phrase, as the shell took its quotes."""
    return f'"{argument}"' if " " in argument.strip() and '"' not in argument else argument


def _shown(query: Query, hit: Hit) -> list[Text]:
    words = one_line(plain(hit.text), _LONG)
    text = Text("• ")
    done = 0
    for start, end in marks(query, words):
        text.append(words[done:start]).append(words[start:end], style="bold yellow")
        done = end
    text.append(words[done:])
    lines = [text, *(_stand(stand) for stand in hit.stands)]
    if hit.documents > len(hit.stands):
        lines.append(Text(f"  and in {hit.documents - len(hit.stands)} more documents", style="dim"))
    return lines


def _stand(stand: Stand) -> Text:
    name = f"{one_line(stand.service_name, 40)} / {one_line(stand.key.type, 40)}"
    ends = f"gone since {exact(stand.gone_at)}" if stand.gone_at else "stands now"
    if stand.removed_by:
        ends += f" (change {stand.removed_by})"
    brought = f" (change {stand.brought_by})" if stand.brought_by else ""
    times = f", came {stand.runs} times" if stand.runs > 1 else ""
    style = "dim" if stand.gone_at else ""
    return Text(harmless(f"  {name}: first seen {exact(stand.first_at)}{brought}, {ends}{times}"), style=style)
