"""A trained second opinion beside the rules, tried on clauses it was not trained on.

    python benchmarks/second_opinion.py --data clauses.jsonl

Trains a logistic regression for each topic (words, pairs of words, and words put into a few classes, in order) on the
clauses that we wrote (tests/unit/judge_clauses*.yaml), then says what it would add to the findings of the rules on
the labelled clauses: true ones, false ones, at several thresholds. Pure Python. Not part of tosmon: see
docs/decisions/2026-11-no-second-opinion.md for what it gave.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import sys
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

from ruamel.yaml import YAML

from tosmon.judge import findings, load_rules
from tosmon.judge.reading import read
from tosmon.model import Clause

TOPICS = ("ai_training", "content_license", "ai_restriction", "service_license", "ai_other")
THRESHOLDS = (0.5, 0.8, 0.9, 0.95)
WRITTEN = Path(__file__).parents[1] / "tests" / "unit"
CLASSES = {
    "US": "we us our ours company provider platform publisher service licensor",
    "YOU": "you your yours user users customer customers client clients member members contributors artists authors",
    "OTHERS": "others third parties party partners vendors affiliates licensees everyone anyone public subprocessors",
    "WORK": "content submissions posts works photos pictures images videos artwork materials files feedback likeness output",
    "DATA": "data information conversations chats messages usage interactions prompts inputs recordings",
    "USE": "use copy reproduce distribute display publish modify adapt translate sell exploit store host share print",
    "MAY": "may can could entitled permitted allowed free right",
    "NOT": "not never no neither nor cannot none nothing without prohibited forbidden",
    "LICENCE": "licence license licences licenses licensed grant grants permission permit authorise authorize rights",
    "OWN": "own owns ownership belong belongs property title keep keeps retain retains remain remains",
    "TRAIN": "train trained training fine-tune teach learn learns corpus dataset datasets",
    "AI": "ai artificial intelligence machine llm generative neural chatbot assistant",
    "MODEL": "model models algorithm algorithms classifier classifiers weights",
    "IMPROVE": "improve improving develop developing build building enhance",
    "CHOOSE": "opt object settings setting toggle switch disable consent agree opted choose",
}
CLASS_OF = {word: name for name, words in CLASSES.items() for word in words.split()}
WORD = re.compile(r"[a-z0-9]+(?:[-'][a-z0-9]+)*")


def features(sentence: str) -> set[str]:
    words = WORD.findall(sentence)[:120]
    classes = [CLASS_OF[word] for word in words if word in CLASS_OF]
    found = {f"w {word}" for word in words} | {f"b {a} {b}" for a, b in pairwise(words)}
    for step in (1, 2, 3):
        found |= {f"c{step} {a} {b}" for a, b in zip(classes, classes[step:], strict=False)}
    return found | {f"c {name}" for name in classes}


def trained(rows: list[tuple[set[str], bool]]) -> tuple[float, dict[str, float]]:
    """Bias and weights, by AdaGrad; the rare kind of row counts more."""
    shuffled = random.Random(0)
    weights: dict[str, float] = defaultdict(float)
    squares: dict[str, float] = defaultdict(lambda: 1e-3)
    bias, share = -1.0, min(4.0, len(rows) / (sum(said for _, said in rows) or 1) - 1)
    for _ in range(30):
        shuffled.shuffle(rows)
        for found, said in rows:
            error = (probability((bias, weights), found) - said) * (share if said else 1.0)
            for name in found:
                slope = 3 * error / len(found) ** 0.5 + 0.002 * weights[name]
                squares[name] += slope * slope
                weights[name] -= 0.15 * slope / math.sqrt(squares[name])
            bias -= 0.02 * error
    return bias, dict(weights)


def probability(model: tuple[float, dict[str, float]], found: set[str]) -> float:
    bias, weights = model
    total = bias + 3 * sum(weights.get(name, 0.0) for name in found) / max(1, len(found)) ** 0.5
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, total))))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    yaml, rules = YAML(typ="safe", pure=True), load_rules()
    written = [entry for file in sorted(WRITTEN.glob("judge_clauses*.yaml")) for entry in yaml.load(file)]
    read_rows = [
        (features(" ".join(s.text for s in read(entry["text"]).sentences)), {said.split()[0] for said in entry["says"]})
        for entry in written
    ]
    rows = [json.loads(line) for line in arguments.data.read_text("utf-8").splitlines() if line.strip()]
    sentences = [[features(sentence.text) for sentence in read(row["text"]).sentences] for row in rows]
    by_rules = [{finding.topic for finding in findings(Clause(row["text"]), rules)} for row in rows]
    for topic in TOPICS:
        model = trained([(found, topic in said) for found, said in read_rows])
        likely = [max((probability(model, one) for one in clause), default=0.0) for clause in sentences]
        told = []
        for threshold in THRESHOLDS:
            true = false = 0
            for row, said, chance in zip(rows, by_rules, likely, strict=True):
                if chance >= threshold and topic not in said:
                    wanted = any(finding["topic"] == topic for finding in row["findings"])
                    true, false = true + wanted, false + (not wanted)
            told.append(f"{threshold}: +{true} true, +{false} false")
        print(f"{topic:16} {' | '.join(told)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
