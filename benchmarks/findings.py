"""What single clauses say, by the product's own path, for a scorer.

    python benchmarks/findings.py --data clauses.jsonl --out findings.jsonl

Reads only `id`, `service`, `terms` and `text` of each line, each clause alone, and writes its findings.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from tosmon.judge import Rules, findings, load_rules
from tosmon.model import Clause


def said(text: str, rules: Rules) -> list[dict[str, Any]]:
    """The findings of a text read as one clause."""
    return [
        {
            "topic": finding.topic,
            "actor": finding.actor,
            "stance": finding.stance,
            "quote": finding.quote,
            "attributes": sorted(finding.attributes),
            "rule": finding.rule,
        }
        for finding in findings(Clause(text), rules)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    rules = load_rules()
    rows = [json.loads(line) for line in arguments.data.read_text("utf-8").splitlines() if line.strip()]
    started, size = time.perf_counter(), 0
    with arguments.out.open("w", encoding="utf-8") as out:
        for row in rows:
            size += len(row["text"])
            out.write(json.dumps({"id": row["id"], "findings": said(row["text"], rules)}, ensure_ascii=False) + "\n")
    took = time.perf_counter() - started
    print(f"{len(rows)} clauses, {size / 1e6:.2f} MB, {took:.2f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
