"""`tosmon rules`: which rules read the terms, whether they keep to their examples, and why a sentence was flagged.

The packs are those of tosmon, with those that the configuration names (where there is one) and those given by hand.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tosmon.cli import ERROR, Commands, Lazy, Settings
from tosmon.cli.terminal import one_line, print_json, say, stdout, styled
from tosmon.errors import ConfigError
from tosmon.judge import Explanation, Rules, explain, failures, load_rules
from tosmon.model import Clause

RULES = {
    "list": Lazy("rules", "List the rules in force, topic by topic."),
    "test": Lazy("rules", "Read the examples of all rules, yours too, and tell which are not kept to."),
    "explain": Lazy("rules", "Say which rules meet a clause, in which words, and why they matter."),
}
_PACKS = click.option(
    "--rules", "packs", multiple=True, type=click.Path(exists=True, path_type=Path), help="Rule packs of your own."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("rules", cls=Commands, lazy=RULES, prefix="rules")
def rules_command() -> None:
    """What tosmon looks for in terms: its rules and yours."""


@click.command("list")
@click.option("--topic", help="Only rules on this topic.")
@click.option("--language", help="Only rules for this language (en, de, …).")
@_PACKS
@_JSON
@click.pass_obj
def rules_list_command(
    settings: Settings, topic: str | None, language: str | None, packs: tuple[Path, ...], as_json: bool
) -> None:
    """List the rules in force, topic by topic."""
    rules = _rules(settings, packs)
    chosen = [
        {
            "id": rule.id,
            "topic": rule.topic,
            "language": rule.language,
            "actor": "read" if rule.reads_actor else rule.actor,
            "stance": "read" if rule.reads_stance else rule.stance,
            "says": rule.says,
            "why": rule.why,
            "source": rule.source,
            "pack": rules.pack_of[rule.id].origin,
        }
        for rule in rules.rules
        if topic in (None, rule.topic) and language in (None, rule.language)
    ]
    if as_json:
        print_json(chosen)
        return
    for rule in chosen:
        stdout().print(styled(f"{rule['id']}  [{rule['language']}]  {rule['says']}"))
        stdout().print(styled(f"  {one_line(str(rule['why']))}", "dim"))
    if not chosen:
        say("No rule is like that; see: tosmon rules list")


@click.command("test")
@_PACKS
@_JSON
@click.pass_obj
def rules_test_command(settings: Settings, packs: tuple[Path, ...], as_json: bool) -> int:
    """Read the examples of all rules, yours too, and tell which are not kept to; then the exit code is 1."""
    rules = _rules(settings, packs)
    failed = failures(rules)
    examples = sum(len(rule.matches) + len(rule.misses) for rule in rules.rules)
    if as_json:
        print_json({"rules": len(rules.rules), "examples": examples, "failures": failed})
    else:
        for line in failed:
            stdout().print(styled(one_line(line)))
        say(f"{len(rules.rules)} rules, {examples} examples, {len(failed) or 'none'} not kept to.")
    return ERROR if failed else 0


@click.command("explain")
@click.argument("clause", metavar="CLAUSE")
@click.option("--stem", default="", help="The sentence that introduces the list which the clause is an item of.")
@_PACKS
@_JSON
@click.pass_obj
def rules_explain_command(settings: Settings, clause: str, stem: str, packs: tuple[Path, ...], as_json: bool) -> None:
    """Say which rules meet a CLAUSE, in which words, and why they matter. A dash reads the clause from stdin."""
    text = sys.stdin.read() if clause == "-" else clause
    told = explain(Clause(text.strip()), _rules(settings, packs), stem=stem)
    if as_json:
        print_json(told)
        return
    console = stdout()
    for one in told:
        finding = one.finding
        who = " ".join(str(part) for part in (finding.actor, finding.stance) if part)
        console.print(styled(f"{finding.topic}: {who or 'is spoken of'}", "bold"))
        for name, words in _reasons(one):
            console.print(styled(f"  {name:<11}{one_line(words)}"))
    if not told:
        say("No rule meets this.")


def _reasons(told: Explanation) -> list[tuple[str, str]]:
    """What is shown of an explanation, line by line; what says nothing is left out."""
    finding = told.finding
    lines = [
        ("rule", finding.rule),
        ("words", told.words),
        ("quote", finding.quote),
        ("who by", told.actor_words),
        ("stance by", told.stance_words),
        ("scope", ", ".join(sorted(finding.attributes))),
        ("why", told.why),
        ("source", told.source),
    ]
    return [(name, words) for name, words in lines if words]


def _rules(settings: Settings, packs: tuple[Path, ...]) -> Rules:
    return load_rules((*_configured(settings), *packs))


def _configured(settings: Settings) -> tuple[Path, ...]:
    """The packs that the configuration names; none where there is no configuration and none was asked for."""
    from tosmon.cli.wiring import config_file, config_of

    try:
        config_file(settings)
    except ConfigError:
        if settings.config is not None:
            raise
        return ()
    return config_of(settings).rules
