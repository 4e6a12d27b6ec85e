"""What changes mean, by the product's own path, for a scorer.

    python benchmarks/flags.py --data changes.jsonl[.gz] --out flags.jsonl

Reads only `id`, `service`, `terms`, `date`, `before` and `after` of each line: splits, compares and judges the two
texts, and writes the flags' topics with their directions, whether people would be told, and the effective date.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from tosmon.clauses import split
from tosmon.compare import compare
from tosmon.judge import Rules, judge, load_rules


def judged(row: dict[str, Any], rules: Rules) -> dict[str, Any]:
    """One line of the output; quotes are shown so that a reader can check each flag."""
    comparison = compare(split(row["before"]), split(row["after"]))
    at = datetime.fromisoformat(row["date"]).date() if row.get("date") else None
    judgement = judge(comparison, rules, service_name=row["service"], type=row["terms"], at=at)
    effective = judgement.effective_date
    return {
        "id": row["id"],
        "topics": {flag.topic: flag.direction for flag in judgement.flags},
        "substantive": judgement.substantive,
        "effective_date": effective.isoformat() if effective else None,
        "headline": judgement.headline,
        "severity": judgement.severity,
        "reason": judgement.reason,
        "flags": [
            {
                "topic": flag.topic,
                "what": flag.what,
                "before": [quote.text for quote in flag.before],
                "after": [quote.text for quote in flag.after],
                "rules": flag.rules,
            }
            for flag in judgement.flags
        ],
    }


def rows(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    rules = load_rules()
    started, number = time.perf_counter(), 0
    with arguments.out.open("w", encoding="utf-8") as out:
        for row in rows(arguments.data):
            number += 1
            out.write(json.dumps(judged(row, rules), ensure_ascii=False) + "\n")
    print(f"{number} changes, {time.perf_counter() - started:.2f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
