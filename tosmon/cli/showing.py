"""How a change is shown on a terminal: the headline, its flags with their quotes, then the clauses with marked words.

On a terminal words that went are red and struck, words that came are green; in a pipe they stand in `[-…-]` and
`{+…+}`, so that nothing is said by colour alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.text import Text

from tosmon.clauses import heading_paths, plain
from tosmon.cli.terminal import harmless, indented, one_line, styled
from tosmon.compare import edits
from tosmon.model import (
    ClauseChange,
    ClauseChangeKind,
    Comparison,
    Direction,
    Edit,
    EditKind,
    Flag,
    Judgement,
    Quote,
    Severity,
)
from tosmon.publish.marks import Run, shortened
from tosmon.publish.words import DIRECTION, SEVERITY, day, topic_name

_SEVERITY_STYLE = {Severity.HIGH: "bold red", Severity.MEDIUM: "bold yellow", Severity.LOW: "bold"}
_DIRECTION_STYLE = {
    Direction.WORSE: "red",
    Direction.BETTER: "green",
    Direction.MIXED: "yellow",
    Direction.NEUTRAL: "cyan",
}
_MARKS = {
    EditKind.ADDED: ("{+", "+}", "green"),
    EditKind.REMOVED: ("[-", "-]", "red strike"),
    EditKind.SAME: ("", "", ""),
}
_QUIET = (ClauseChangeKind.MOVED, ClauseChangeKind.RENUMBERED, ClauseChangeKind.COSMETIC)


def severity_word(severity: Severity) -> Text:
    return Text(severity.value, style=_SEVERITY_STYLE[severity])


def direction_words(flags: Sequence[Flag]) -> Text:
    """`▼ ai_training ▲ content_license`: topics with the way they go."""
    parts: list[tuple[str, str]] = []
    for flag in flags:
        sign, _ = DIRECTION[flag.direction]
        parts.append((f"{sign} {one_line(flag.topic, 40)}  ", _DIRECTION_STYLE[flag.direction]))
    return Text.assemble(*parts)


def judgement_shown(judgement: Judgement, console: Console) -> RenderableType:
    """The headline, how much it matters, from when, and each flag with the words it rests on."""
    return headline_shown(
        judgement.headline,
        judgement.severity,
        judgement.summary,
        f"In force from {day(judgement.effective_date)}." if judgement.effective_date else "",
        judgement.flags,
        console,
        silent=judgement.silent,
        untold="" if judgement.substantive else f"Nobody would be told: {judgement.reason}.",
    )


def headline_shown(
    headline: str,
    severity: Severity,
    summary: str,
    effective: str,
    flags: Sequence[Flag],
    console: Console,
    *,
    silent: bool = False,
    untold: str = "",
) -> RenderableType:
    lines: list[RenderableType] = [
        styled(one_line(headline) or "No headline", "bold"),
        Text(SEVERITY[severity.value], style=_SEVERITY_STYLE[severity]),
    ]
    lines += [styled(one_line(text, 600)) for text in (effective, summary, untold) if text]
    if silent:
        lines.append(Text("A silent edit: the text changed, its own date did not.", style="yellow"))
    for flag in flags:
        lines += ["", *_flag_shown(flag, console)]
    return Group(*lines)


def _flag_shown(flag: Flag, console: Console) -> Iterator[RenderableType]:
    sign, words = DIRECTION[flag.direction]
    style = _DIRECTION_STYLE[flag.direction]
    yield Text.assemble((f"{sign} {words}: ", style), (topic_name(flag.topic), "bold"))
    if flag.what:
        yield styled(f"  {one_line(flag.what, 500)}")
    for label, quotes, kind in (("before", flag.before, EditKind.REMOVED), ("now", flag.after, EditKind.ADDED)):
        for quote in quotes:
            yield indented(_quote_shown(label, quote, kind), console)
    if flag.rules:
        yield styled(f"  rule {', '.join(flag.rules)}{f': {one_line(flag.why)}' if flag.why else ''}", "dim")


def _quote_shown(label: str, quote: Quote, kind: EditKind) -> Text:
    where = f"  ({' › '.join(one_line(title, 60) for title in quote.headings)})" if quote.headings else ""
    style = _MARKS[kind][2].replace(" strike", "")
    return Text.assemble((f"{label}: ", "dim"), (f"“{one_line(quote.text, 1200)}”", style), (where, "dim"))


# --- clauses ---------------------------------------------------------------------------------------------------------


def counts_shown(comparison: Comparison) -> Text:
    """`3 added · 1 removed · 12 reworded · 4 moved · 25 renumbered · 2 cosmetic`"""
    words = {
        ClauseChangeKind.ADDED: "added",
        ClauseChangeKind.REMOVED: "removed",
        ClauseChangeKind.MODIFIED: "reworded",
        ClauseChangeKind.MOVED: "moved",
        ClauseChangeKind.RENUMBERED: "renumbered",
        ClauseChangeKind.COSMETIC: "cosmetic",
    }
    counted = [f"{len(found)} {word}" for kind, word in words.items() if (found := comparison.of(kind))]
    return Text("Clauses: " + (" · ".join(counted) if counted else "none changed"))


def changes_shown(comparison: Comparison, *, everything: bool = False, console: Console) -> Iterator[RenderableType]:
    """Each changed clause under its headings; moved, renumbered and cosmetic ones only with `everything`."""
    above = {True: heading_paths(comparison.before), False: heading_paths(comparison.after)}
    last: tuple[str, ...] | None = None
    for change in comparison.changes:
        if change.kind in _QUIET and not everything:
            continue
        gone = change.after is None
        place = change.before if gone else change.after
        path = above[gone][place] if place is not None else ()
        if path != last:
            yield ""
            yield styled(" › ".join(one_line(title, 80) for title in path) or "(no heading)", "bold cyan")
            last = path
        clause = clause_shown(comparison, change, everything=everything, colour=console.color_system is not None)
        yield indented(clause, console)


def clause_shown(comparison: Comparison, change: ClauseChange, *, everything: bool, colour: bool) -> Text:
    before = plain(comparison.before[change.before].text) if change.before is not None else ""
    after = plain(comparison.after[change.after].text) if change.after is not None else ""
    if change.kind in _QUIET:
        return styled(f"~ {change.kind.value}: {one_line(after, 160)}", "dim")
    # A clause that came or went whole needs no marks: its sign says so.
    whole = {ClauseChangeKind.ADDED: ("+ ", after, "green"), ClauseChangeKind.REMOVED: ("- ", before, "red")}
    if change.kind in whole:
        sign, text, style = whole[change.kind]
        return Text.assemble((sign, "bold"), styled(text if everything else one_line(text, 2000), style))
    return Text.assemble(("± ", "bold"), marked(edits(before, after), everything=everything, colour=colour))


def marked(runs: Sequence[Edit], *, everything: bool = True, colour: bool = True) -> Text:
    """An edited clause with its words marked; what stays is cut in the middle unless `everything` is wanted."""
    shown = tuple(Run(harmless(run.text), run.kind) for run in runs)
    if not everything:
        shown = shortened(shown, longest=2000)
    text = Text()
    for run in shown:
        start, end, style = _MARKS[run.kind]
        text.append(run.text if colour else f"{start}{run.text}{end}", style=style if colour else "")
    return text
