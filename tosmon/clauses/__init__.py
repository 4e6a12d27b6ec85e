"""Terms as a list of clauses: split Markdown into them, join them back, say which headings stand above each.

A clause is the unit of storage, comparison and search, so the cut must be stable (an edit inside one clause
never moves the borders of another) and lossless: joining gives back every byte. Knows Markdown just well
enough for that; it is no renderer.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from tosmon.clauses.canonical import canonical, words
from tosmon.model import Clause, ClauseKind

__all__ = ["canonical", "canonical_digest", "heading_paths", "join", "split", "stems", "words"]

# The marker that opens a clause: Markdown's own list markers, and the numbering that lawyers write themselves
# ("1.2", "3.", "(a)", "iv)"). A bare number or letter needs its dot or bracket: "10 days" opens no list.
_MARKER = re.compile(
    r"(?P<quote>(?:> ?)*)(?P<indent>[ \t\u00a0]*)"
    r"(?:(?P<hashes>#{1,6})(?=[ \t]|$)[ \t]*"
    r"|(?P<bullet>[-*+•‣◦–](?=[ \t\u00a0])[ \t\u00a0]+))?"
    r"(?P<number>(?:\(?(?:\d{1,3}(?:\.\d{1,3}){0,4}|[ivxlc]{1,6}|[IVXLC]{1,6}|[A-Za-z])(?:\\?[.)]{1,2})"
    r"|\d{1,3}(?:\.\d{1,3}){1,4})(?=[ \t\u00a0])[ \t\u00a0]+)?"
)
# What a number that opens a clause counts, or the date it begins: then it is no marker ("1.5 million", "15. November 2024").
QUANTITY = re.compile(
    r"\W{0,3}(?:(?:million|billion|thousand|per ?cent|times|years?|months?|weeks?|(?:calendar |business |working )?days?"
    r"|hours?|minutes?|[GMTk]B|km|USD|EUR|dollars?|euros?|pounds?|Millionen|Milliarden|Prozent|Jahren?|Monaten?|Tagen?"
    r"|jours?|mois|días?|meses|giorni|mesi|dias|dagen|[^\W\d_]{3,12}\.? [12]\d{3})\b|%|€|£)"
)
_BREAK = re.compile(r"[ ]{0,3}(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})$")
_UNDERLINE = re.compile(r"[ ]{0,3}(?:=+|-{2,})[ \t]*$")
_TABLE_RULE = re.compile(r"[ ]*\|?(?:[ ]*:?-{2,}:?[ ]*\|)+[ ]*(?::?-{2,}:?[ ]*)?$")
# What can open a clause of its own in the middle of a run of lines; all else goes on with the line above.
_OPENER = re.compile(
    r"[ \t\u00a0]*(?:>|#{1,6}[ \t]|\||[-*+•‣◦][ \t\u00a0]|\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,5})\\?[.)][ \t\u00a0])"
)


class _Open:
    """The clause being read: the lines gathered so far."""

    __slots__ = ("kind", "lead", "level", "lines", "row")

    def __init__(self, kind: ClauseKind, lead: str, level: int, line: str, row: bool) -> None:
        self.kind, self.lead, self.level, self.lines, self.row = kind, lead, level, [line], row


def split(markdown: str) -> tuple[Clause, ...]:
    """Cut Markdown into clauses; `join` gives the same bytes back.

    Headings lose their marks to `lead` and `tail`, list items their marker to `lead`, blank lines and rules go to the
    `tail` of the clause above. Text before the first clause (blank lines) becomes its `lead`; a text without any words
    is one clause with an empty `text`, and an empty text is no clause at all.
    """
    done: list[Clause] = []
    preamble = ""
    current: _Open | None = None
    tail: list[str] = []

    def close() -> None:
        nonlocal current, preamble
        if current is None:
            return
        lead, text = preamble + current.lead, "\n".join(current.lines)
        body = text.rstrip()
        done.append(Clause(body, lead, text[len(body) :] + "".join(tail), current.kind, current.level))
        preamble, current = "", None
        tail.clear()

    lines = markdown.split("\n")
    for number, line in enumerate(lines):
        last = number == len(lines) - 1
        end = "" if last else "\n"
        if not line.strip():
            if current is None and not tail:
                preamble += line + end
            else:
                tail.append(line + end) if current is None or tail else tail.extend(("\n", line + end))
            continue
        if current is not None and not tail and _is_underline(line, current):
            current.kind, current.level = ClauseKind.HEADING, 1 if "=" in line else 2
            tail.extend(("\n", line + end))
            continue
        if current is not None and ((current.row and not tail and _TABLE_RULE.match(line)) or _BREAK.match(line)):
            tail.extend((line + end,) if tail else ("\n", line + end))
            continue
        if current is not None and not tail and _goes_on(current, line):
            current.lines.append(line)
            continue
        if current is not None and not tail:
            tail.append("\n")
        close()
        current = _opened(line)
    if current is None:
        return (Clause("", preamble),) if preamble else ()
    close()
    return tuple(done)


def _is_underline(line: str, current: _Open) -> bool:
    return (
        (current.kind is ClauseKind.PARAGRAPH or current.lead[:1].isdigit())
        and not current.row
        and len(current.lines) <= 3
        and line.lstrip()[0] in "=-"
        and _UNDERLINE.match(line) is not None
    )


def _goes_on(current: _Open, line: str) -> bool:
    return not current.row and current.kind is not ClauseKind.HEADING and _OPENER.match(line) is None


def _opened(line: str) -> _Open:
    found = _MARKER.match(line)
    assert found is not None  # every part of the pattern is optional
    end = found.end()
    if found["number"] and QUANTITY.match(line, end):
        end = found.start("number")
    lead, rest = line[:end], line[end:]
    if not rest.strip():  # a line that is nothing but a marker keeps it as its text, so that no clause is empty
        lead, rest = "", line
    if found["hashes"]:
        return _Open(ClauseKind.HEADING, lead, len(found["hashes"]), rest, False)
    if rest.startswith("|"):
        return _Open(ClauseKind.ROW, lead, 0, rest, True)
    if found["bullet"] or (found["number"] and end == found.end()):
        return _Open(ClauseKind.ITEM, lead, 1 + _width(found["indent"]) // 2, rest, False)
    return _Open(ClauseKind.PARAGRAPH, lead, 0, rest, False)


def _width(indent: str) -> int:
    return len(indent.expandtabs(4))


def join(clauses: Iterable[Clause]) -> str:
    """The Markdown that `split` was given."""
    return "".join([part for clause in clauses for part in (clause.lead, clause.text, clause.tail)])


def heading_paths(clauses: Sequence[Clause]) -> tuple[tuple[str, ...], ...]:
    """For each clause, the headings above it, outermost first; a heading's own text is not in its path."""
    path: list[tuple[int, str]] = []
    paths: list[tuple[str, ...]] = []
    for clause in clauses:
        if clause.kind is ClauseKind.HEADING:
            while path and path[-1][0] >= clause.level:
                path.pop()
            paths.append(tuple(title for _, title in path))
            path.append((clause.level, plain(clause.text)))
        else:
            paths.append(tuple(title for _, title in path))
    return tuple(paths)


def stems(clauses: Sequence[Clause]) -> tuple[int | None, ...]:
    """For each list item, the position of the clause that introduces its list ("you grant us:"), else `None`.

    Items of a deeper list have the item above them as their stem.
    """
    found: list[int | None] = []
    owners: list[tuple[int, int | None]] = []  # (depth, stem) of the lists that are open
    for number, clause in enumerate(clauses):
        if clause.kind is not ClauseKind.ITEM:
            owners.clear()
            found.append(None)
            continue
        while owners and owners[-1][0] > clause.level:
            owners.pop()
        if not owners or owners[-1][0] < clause.level:
            above = number - 1 if number and clauses[number - 1].kind is not ClauseKind.HEADING else None
            owners.append((clause.level, above))
        found.append(owners[-1][1])
    return tuple(found)


def canonical_digest(clauses: Iterable[Clause]) -> bytes:
    """What two texts have in common that differ in cosmetics only: borders between clauses count for nothing."""
    whole = hashlib.sha256()
    for clause in clauses:
        whole.update(canonical(clause.text).encode("utf-8", "surrogatepass"))
    return whole.digest()[:16]


_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*(?:\([^()\s]*\)[^()\s]*)*(?:\s+\"[^\"]*\")?\)")
_ESCAPE = re.compile(r"\\([\\`*_{}\[\]()#+\-.!|>~&])")
_EMPHASIS = re.compile(r"\*\*|__|(?<![\w*])\*(?=\S)|(?<=\S)\*(?![\w*])|(?<!\w)_(?=\S)|(?<=\S)_(?!\w)|`")


@lru_cache(maxsize=2048)  # the headings of a document, for every comparison of it
def plain(markdown: str) -> str:
    """One line of text without Markdown's marks, for headings and titles that people read."""
    text = _LINK.sub(r"\1", markdown)
    text = _EMPHASIS.sub("", text)
    return " ".join(_ESCAPE.sub(r"\1", text).split())
