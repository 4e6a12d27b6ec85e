"""How fast judging is: first reading of a text, a change of a long document, loading the rules.

    python benchmarks/judge.py [--data changes.jsonl.gz] [--out figures.json]

Without `--data` the text is made of invented clauses. Prints one JSON object: MB of text judged a second the first time,
milliseconds for a change of a 20,000-word document (the best of nine, after its clauses were read once), seconds to load.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import time
from pathlib import Path

from tosmon.clauses import split
from tosmon.compare import compare
from tosmon.judge import findings, judge, load_rules
from tosmon.model import Clause

WORDS = 20_000
LOAD = """
import time
started = time.perf_counter()
from tosmon.judge import load_rules
load_rules()
print(time.perf_counter() - started)
"""
PLAIN = (
    "You open an account with a name and an address, and you tell us when either of them changes. Article {}.",
    "We send invoices at the end of the month; they are due within {} days, by transfer or by card.",
    "The courts at our seat decide disputes, unless the law of your country gives you another court. Case {}.",
    "We use cookies to keep you signed in, to remember your language and to count visits. They live {} days.",
    "Parcels travel at our risk; what is broken on arrival is sent back within {} days at no cost to you.",
    "We keep records of payments for {} years, because the tax office asks us to, and delete them afterwards.",
    "If you are late with a payment we remind you {} times, and then we may close the account.",
)
TELLING = (
    "By posting content you grant us a worldwide, non-exclusive licence to host and show it, as section {} says.",
    "You may not copy, sell or reverse engineer the software, nor use it to harass other people. Rule {}.",
    "We use artificial intelligence to recommend posts to you; you can reset what it knows after {} days.",
)
# One paragraph in eight touches what we look for, as in the terms of real platforms (a tenth of clauses, measured).
PARAGRAPHS = (*PLAIN, TELLING[0], *PLAIN, TELLING[1], *PLAIN, TELLING[2])


def invented(words: int) -> str:
    """Terms of about that many words, each paragraph once."""
    paragraphs: list[str] = []
    length = 0
    while length < words:
        text = PARAGRAPHS[len(paragraphs) % len(PARAGRAPHS)].format(len(paragraphs))
        paragraphs.append(text)
        length += len(text.split())
    return "\n\n".join(paragraphs)


def distinct_clauses(path: Path | None) -> list[Clause]:
    """Each distinct clause once, as the archive would hand them over."""
    if path is None:
        return list(split(invented(200_000)))
    found: dict[str, Clause] = {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            for clause in split(json.loads(line)["after"]):
                found.setdefault(clause.text, clause)
    return list(found.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rules = load_rules()

    clauses = distinct_clauses(arguments.data)
    size = sum(len(clause.text.encode()) for clause in clauses)
    started = time.perf_counter()
    found = sum(len(findings(clause, rules)) for clause in clauses)
    first = time.perf_counter() - started

    before = invented(WORDS)
    after = before.replace("worldwide", "worldwide, perpetual", 40).replace("invoices", "bills", 20)
    comparison = compare(split(before), split(after))
    judge(comparison, rules, service_name="Inkwell", type="Terms of Service")
    times = []
    for _ in range(9):
        started = time.perf_counter()
        judge(comparison, rules, service_name="Inkwell", type="Terms of Service")
        times.append(time.perf_counter() - started)

    loading = float(subprocess.run([sys.executable, "-c", LOAD], check=True, capture_output=True, text=True).stdout)
    figures = {
        "distinct_clauses": len(clauses),
        "megabytes": round(size / 1e6, 2),
        "findings": found,
        "first_time_megabytes_per_second": round(size / 1e6 / first, 2),
        "change_of_20000_words_ms": round(min(times) * 1000, 1),
        "import_and_load_seconds": round(loading, 3),
    }
    print(json.dumps(figures))
    if arguments.out:
        arguments.out.write_text(json.dumps(figures) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
