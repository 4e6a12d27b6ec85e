"""Compare and mark a long document in which some words changed, and say how long it takes.

    python benchmarks/compare.py [--words 20000] [--changed 0.02] [--runs 7]

Prints one JSON object: the median milliseconds for the document as clauses of 80 words, and as one single clause.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time

from tosmon.clauses import join, split
from tosmon.compare import apply, compare, edits
from tosmon.model import ClauseChangeKind, EditKind


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=int, default=20_000)
    parser.add_argument("--changed", type=float, default=0.02)
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()
    before, after = documents(arguments.words, arguments.changed)
    figures = {
        "words": arguments.words,
        "clauses_ms": median_ms(lambda: in_clauses("\n\n".join(before), "\n\n".join(after)), arguments.runs),
        "one_clause_ms": median_ms(lambda: edits(" ".join(before), " ".join(after)), arguments.runs),
        "marked_words": in_clauses("\n\n".join(before), "\n\n".join(after)),
    }
    print(json.dumps(figures))


def documents(words: int, changed: float) -> tuple[list[str], list[str]]:
    """Clauses of 80 words before and after; the same on every run."""
    chance = random.Random(20_000)
    vocabulary = ["".join(chance.choices("abcdefghijklmnoprstuvw", k=chance.randint(2, 11))) for _ in range(3_000)]
    before = [chance.choices(vocabulary, k=80) for _ in range(words // 80)]
    after = [[chance.choice(vocabulary) if chance.random() < changed else word for word in clause] for clause in before]
    return [" ".join(clause) for clause in before], [" ".join(clause) for clause in after]


def in_clauses(before: str, after: str) -> int:
    """Compare and mark; the number of words that are marked as new."""
    comparison = compare(split(before), split(after))
    marked = 0
    for change in comparison.of(ClauseChangeKind.MODIFIED):
        assert change.before is not None and change.after is not None
        runs = edits(comparison.before[change.before].text, comparison.after[change.after].text)
        marked += sum(len(run.text.split()) for run in runs if run.kind is EditKind.ADDED)
    assert join(apply(comparison.before, comparison)) == after
    return marked


def median_ms(work: object, runs: int) -> float:
    assert callable(work)
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    return round(statistics.median(times), 1)


if __name__ == "__main__":
    main()
