"""Extract recorded pages whose right text is known, with the declared selectors or without any.

    python benchmarks/extraction.py --data DIR --out FILE [--auto]

DIR holds `index.jsonl`: one document a line, with its declaration in Open Terms Archive's format and its pages. One
line is written for each: its id and the text that tosmon reads.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from tosmon.declarations import read_declaration
from tosmon.errors import TosmonError
from tosmon.extract import read
from tosmon.model import Form, Reading, Response, SourceDocument, Terms


def main() -> None:
    arguments = _arguments()
    rows = [json.loads(line) for line in (arguments.data / "index.jsonl").read_text(encoding="utf-8").splitlines()]
    started = time.perf_counter()
    pages = failed = 0
    with arguments.out.open("w", encoding="utf-8") as out:
        for row in rows:
            pages += len(row["snapshots"])
            try:
                line = {"id": row["id"], **_extracted(row, arguments.data, auto=arguments.auto)}
            except TosmonError as error:
                failed += 1
                line = {"id": row["id"], "text": "", "error": str(error)}
            out.write(json.dumps(line, ensure_ascii=False) + "\n")
    seconds = time.perf_counter() - started
    summary = {"documents": len(rows), "pages": pages, "failed": failed, "pages_per_second": round(pages / seconds, 1)}
    print(json.dumps(summary), file=sys.stderr)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    parser.add_argument("--auto", action="store_true", help="no selectors: the address and the type of terms only")
    return parser.parse_args()


def _extracted(row: dict[str, Any], data: Path, *, auto: bool) -> dict[str, Any]:
    terms = _terms(row)
    if auto:
        terms = replace(terms, form=Form(tuple(SourceDocument(source.url) for source in terms.form.sources)))
    at = datetime.fromisoformat(row["date"])
    reading: Reading = read(list(_responses(row, data, terms, at)), terms, at)
    return {"text": reading.text, "title": reading.title, "form": reading.form, "missing": list(reading.missing)}


def _terms(row: dict[str, Any]) -> Terms:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "service.json"
        declared = {"name": row["service"], "terms": {row["terms"]: row["declaration"]}}
        path.write_text(json.dumps(declared), encoding="utf-8")
        return read_declaration(path)[0]


def _responses(row: dict[str, Any], data: Path, terms: Terms, at: datetime) -> Iterator[Response]:
    for source, snapshot in zip(terms.form.sources, row["snapshots"], strict=True):
        body = (data / snapshot["file"]).read_bytes()
        if snapshot["file"].endswith(".gz"):
            body = gzip.decompress(body)
        yield Response(source.url, source.url, 200, (), body, at)


if __name__ == "__main__":
    main()
