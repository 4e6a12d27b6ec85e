"""Changes and their flags as tables: for a spreadsheet (CSV) or a program (one JSON object on each line).

Quotes are strangers' words, and a spreadsheet runs what begins like a formula: in CSV such a cell begins with an
apostrophe, which spreadsheets do not show.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from tosmon.archive import Archive, ChangeRow
from tosmon.model import Flag, Quote

COLUMNS = (
    "change", "service", "service_name", "type", "url", "at", "state", "severity", "headline", "effective_date",
    "date_only", "silent", "added", "removed", "modified", "moved", "version_before", "version_after", "reason",
    "topic", "direction", "what", "quotes_before", "quotes_after", "rules",
)  # fmt: skip
_AT_ONCE = 500


def every_change(archive: Archive, *, told_only: bool) -> Iterator[ChangeRow]:
    """The changes of the archive, the latest first, a few hundred in memory at a time."""
    before_id = None
    while rows := archive.browse.changes(told_only=told_only, before_id=before_id, limit=_AT_ONCE):
        yield from rows
        before_id = rows[-1].id


def csv_lines(changes: Iterable[ChangeRow]) -> Iterator[str]:
    """A heading, then a line for each flag of each change; one for a change without any."""
    yield _line(COLUMNS)
    for change in changes:
        for flag in change.flags or (None,):
            yield _line(_cells(change, flag))


def json_lines(changes: Iterable[ChangeRow]) -> Iterator[str]:
    """One object for each change, with its flags and their quotes."""
    for change in changes:
        facts = _facts(change) | {"flags": [_flag(flag) for flag in change.flags]}
        yield json.dumps(facts, ensure_ascii=True) + "\n"


def _facts(change: ChangeRow) -> dict[str, Any]:
    return {
        "change": change.id,
        "service": change.key.service,
        "service_name": change.service_name,
        "type": change.key.type,
        "url": change.url,
        "at": change.at.isoformat(),
        "state": change.state.value,
        "severity": change.severity.value,
        "headline": change.headline,
        "effective_date": change.effective_date.isoformat() if change.effective_date else None,
        "date_only": change.date_only,
        "silent": change.silent,
        "added": change.added,
        "removed": change.removed,
        "modified": change.modified,
        "moved": change.moved,
        "version_before": change.before_id,
        "version_after": change.after_id,
        "reason": change.reason,
    }


def _flag(flag: Flag) -> dict[str, Any]:
    return {
        "topic": flag.topic,
        "direction": flag.direction.value,
        "what": flag.what,
        "why": flag.why,
        "rules": list(flag.rules),
        "before": [_quote(quote) for quote in flag.before],
        "after": [_quote(quote) for quote in flag.after],
    }


def _quote(quote: Quote) -> dict[str, Any]:
    return {
        "text": quote.text,
        "clause": quote.clause,
        "start": quote.start,
        "end": quote.end,
        "headings": list(quote.headings),
    }


def _cells(change: ChangeRow, flag: Flag | None) -> list[str]:
    cells = ["" if value is None else str(value) for value in _facts(change).values()]
    if flag is None:
        return [*cells, "", "", "", "", "", ""]
    before, after = (" … ".join(quote.text for quote in quotes) for quotes in (flag.before, flag.after))
    return [*cells, flag.topic, flag.direction.value, flag.what, before, after, " ".join(flag.rules)]


def _line(cells: Iterable[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([harmless_cell(cell) for cell in cells])
    return out.getvalue()


# Signs that open a formula, also in the full width of East Asian scripts, at the start or where a reader that cuts at
# other signs than commas sees one. What nobody sees (marks, spaces without width) is dropped before they look.
_UNSEEN = "\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
_FORMULA = re.compile(rf"(^|[;\t\r\n])(?=[\s\"{_UNSEEN}]*[=+\-@|＝＋－＠])")


def harmless_cell(text: str) -> str:
    """The text as a cell that no spreadsheet takes for a formula, however it cuts the line into cells."""
    text = _FORMULA.sub(r"\1'", text.replace("\0", ""))
    return f"'{text}" if text.startswith(("\t", "\r", "\n")) else text
