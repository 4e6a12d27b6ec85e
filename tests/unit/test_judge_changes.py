"""What changes of invented terms are flagged as, in every polarity, and which are not flagged at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tosmon.clauses import split
from tosmon.compare import compare
from tosmon.judge import judge, load_rules

RULES = load_rules()
CHANGES = YAML(typ="safe", pure=True).load(Path(__file__).with_name("judge_changes.yaml"))
AROUND = (
    "These terms are between you and Larkfeed, and they apply whenever you open the app.",
    "We may change prices with a notice of thirty days; what you paid for already stays as it is.",
)


def document(entry: dict[str, Any], side: str) -> str:
    return "\n\n".join([AROUND[0], *entry.get("stays", ()), *entry.get(side, ()), AROUND[1]])


@pytest.mark.parametrize("entry", CHANGES, ids=[" ".join(str(c.get("-", c.get("+")))[:70].split()) for c in CHANGES])
def test_change_is_flagged_by_what_it_does(entry: dict[str, Any]) -> None:
    """Each topic that a change touches is flagged once, with the way it goes for the user; nothing else is."""
    comparison = compare(split(document(entry, "-")), split(document(entry, "+")))
    judgement = judge(comparison, RULES, service_name="Larkfeed", type="Terms of Service")
    found = {flag.topic: str(flag.direction) for flag in judgement.flags if flag.topic != "ai_other"}
    wanted = {topic: found.get(topic, "") if way == "any" else way for topic, way in entry["flags"].items()}

    assert found == wanted
