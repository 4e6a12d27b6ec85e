"""Rule packs: what they must hold, how errors are told, and that each rule keeps its examples."""

from __future__ import annotations

import time
from importlib import resources
from pathlib import Path

import pytest

from tosmon.errors import RuleError
from tosmon.judge import Rule, failures, findings, load_rules
from tosmon.judge.catalogue import catalogue
from tosmon.judge.finding import rules_met
from tosmon.judge.rules import cases, rules_from
from tosmon.model import Clause

RULES = load_rules()
PACKS = sorted(
    file.name for file in (resources.files("tosmon.judge") / "packs").iterdir() if file.name.endswith(".yaml")
)
ROOT = Path(__file__).parents[2]

PACK = """
pack: faces
language: en
topic: biometrics
stems: ['face']
words:
  keep: '(?:store|keep)\\w*'
rules:
  - id: biometrics.keep
    actor: provider
    stance: may
    why: A face cannot be changed.
    patterns: ['{keep}[^;]{0,40}\\bface templates?']
    unless: ['\\bnot\\b']
    examples:
      match: ['We store face templates.']
"""


def text_of(name: str) -> str:
    return (resources.files("tosmon.judge") / "packs" / name).read_text("utf-8")


@pytest.mark.parametrize("rule", RULES.rules, ids=lambda rule: rule.id)
def test_rule_matches_its_examples(rule: Rule) -> None:
    """Each rule finds what its examples say it must find, and not what they say it must not."""
    assert [text for text in rule.matches if rule.id not in rules_met(text, RULES)] == []
    assert [text for text in rule.misses if rule.id in rules_met(text, RULES)] == []


CASES = [(name, case["says"], case["text"]) for name in PACKS for case in cases(text_of(name))]


@pytest.mark.parametrize(("name", "says", "text"), CASES, ids=[f"{name}: {text[:60]}" for name, _, text in CASES])
def test_case_says_what_it_must(name: str, says: str, text: str) -> None:
    """A case's findings on its pack's topic are exactly those it lists."""
    topic = next(pack.topic for pack in RULES.packs if pack.origin.endswith(name))
    found = [finding for finding in findings(Clause(text), RULES) if finding.topic == topic]
    if says in ("none", "any"):
        assert bool(found) == (says == "any")
        return
    wanted = [part.split() for part in says.split(", ")]
    assert {(finding.actor, finding.stance) for finding in found} == {(part[0], part[1]) for part in wanted}
    attributes = {word[1:] for part in wanted for word in part[2:]}
    assert attributes <= {attribute for finding in found for attribute in finding.attributes}


def test_every_rule_says_why_and_has_an_example() -> None:
    """A rule without a reason or an example cannot be judged by its readers."""
    assert [rule.id for rule in RULES.rules if not rule.why or not rule.matches] == []


def test_rules_are_documented() -> None:
    """docs/flag-rules.md is what the packs say."""
    page = (ROOT / "docs" / "flag-rules.md").read_text("utf-8")

    assert page == catalogue(RULES), "run: python -m tosmon.judge.catalogue > docs/flag-rules.md"


def test_loading_is_quick_and_done_once() -> None:
    """Our packs load in half a second, and only once in a process."""
    started = time.perf_counter()
    rules_from([(name, text_of(name)) for name in PACKS])

    assert time.perf_counter() - started < 2  # half a second on an idle machine
    assert load_rules() is load_rules()


def test_user_pack_stands_beside_ours(tmp_path: Path) -> None:
    """A folder of the user's packs adds its topic."""
    (tmp_path / "faces.yaml").write_text(PACK, "utf-8")
    rules = load_rules([tmp_path])

    (finding,) = findings(Clause("We store face templates of the people in your photos."), rules)

    assert (finding.topic, finding.actor, finding.stance) == ("biometrics", "provider", "may")
    assert len(rules.rules) == len(RULES.rules) + 1


def test_user_rule_replaces_ours_of_the_same_id(tmp_path: Path) -> None:
    """Who disagrees with a rule writes another of the same id."""
    pack = PACK.replace("biometrics.keep", "ai_other.output")
    (tmp_path / "own.yaml").write_text(pack, "utf-8")

    rules = load_rules([tmp_path / "own.yaml"])

    assert len(rules.rules) == len(RULES.rules)
    assert rules.by_id["ai_other.output"].why == "A face cannot be changed."


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (PACK.replace("    why: A face cannot be changed.\n", ""), "own.yaml: rule biometrics.keep: `why` is missing"),
        (PACK.replace("id: biometrics.keep\n    ", ""), "own.yaml: rule 1: `id` is missing"),
        (
            PACK.replace("actor: provider", "actor: everybody"),
            "rule biometrics.keep: `actor` is 'everybody'; known: provider",
        ),
        (PACK.replace("{keep}", "{hold}"), "rule biometrics.keep: pattern `{hold}"),
        (PACK.replace("templates?", "(?!never)"), "no look-around"),
        (PACK.replace("unless:", "unles:"), "rule biometrics.keep: unknown key `unles`"),
        (PACK.replace("stems: ['face']", ""), "`stems` is missing"),
        (PACK.replace("topic:", "subject:"), "unknown key `subject`"),
        (PACK.replace("rules:", "rules: ["), "not valid YAML"),
        ("- a list", "expected a pack"),
        (PACK.replace("    examples:\n      match: ['We store face templates.']\n", ""), "at least one example"),
    ],
)
def test_broken_pack_is_told_with_place_and_fix(tmp_path: Path, broken: str, told: str) -> None:
    """The error names the file and the rule, and says what is expected."""
    (tmp_path / "own.yaml").write_text(broken, "utf-8")

    with pytest.raises(RuleError) as error:
        load_rules([tmp_path])

    assert "own.yaml" in str(error.value)
    assert told in str(error.value)


def test_examples_that_fail_are_told(tmp_path: Path) -> None:
    """A user's rule that does not keep to its own examples can be found out."""
    (tmp_path / "own.yaml").write_text(PACK.replace("We store face templates.", "We paint faces."), "utf-8")

    assert failures(load_rules([tmp_path])) == ("biometrics.keep: must match, does not: We paint faces.",)


def test_missing_pack_is_an_error(tmp_path: Path) -> None:
    """A path that is not there is not silently left out."""
    with pytest.raises(RuleError, match="no such rule pack"):
        load_rules([tmp_path / "nowhere.yaml"])


def test_hostile_pattern_cannot_hang(tmp_path: Path) -> None:
    """A pattern that takes other engines years is answered at once."""
    (tmp_path / "own.yaml").write_text(
        PACK.replace("{keep}[^;]{0,40}\\bface templates?", "(f+a*)+(f|ff)*face$"), "utf-8"
    )
    rules = load_rules([tmp_path])
    started = time.perf_counter()

    findings(Clause("We face " + "f" * 20_000 + "!"), rules)

    assert time.perf_counter() - started < 2
