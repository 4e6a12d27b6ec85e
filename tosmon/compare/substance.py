"""Would people be told of this change? Judged from one pair of texts alone.

What pages do by themselves (menus, related links, hidden addresses, paragraphs cut elsewhere, lists in another order,
another region's spelling) is sieved out, change by change; whatever is left is a real edit of the terms. Every sieve
must be able to say why, and doubt counts as real: a missed change costs more than a superfluous alert. Knows no
history: returns, volatile parts and second looks are `gates`' to judge.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import accumulate

from tosmon.clauses.canonical import canonical
from tosmon.compare.furniture import (
    among_furniture,
    furniture,
    in_consent_widget,
    is_ruin,
    is_title,
    language,
    speaks_of_terms,
)
from tosmon.compare.rewording import Pair, harmless, hides_address, respelled, unnumbered, without_addresses
from tosmon.dates import effective_date, find_dates
from tosmon.model import Clause, ClauseChange, ClauseChangeKind, ClauseKind, Comparison

__all__ = ["Substance", "substance"]


@dataclass(frozen=True, slots=True)
class Substance:
    """Whether people would be told, and why, in plain words.

    `date_only`: nothing but a "last updated" or effective date differs. `silent`: the text changed and that date did
    not, or the reverse. `effective_date`: from when the added text says that the terms apply, told or not.
    `telling`: the changes that are the reason for telling, in reading order; the others are the page's own noise.
    """

    told: bool
    reason: str
    date_only: bool = False
    silent: bool = False
    effective_date: date | None = None
    telling: tuple[ClauseChange, ...] = ()


class _Edit:
    """One change with its clauses; `None` where it has none."""

    __slots__ = ("change", "new", "old", "pair")

    def __init__(self, change: ClauseChange, comparison: Comparison) -> None:
        self.change = change
        self.old = None if change.before is None else comparison.before[change.before]
        self.new = None if change.after is None else comparison.after[change.after]
        self.pair = Pair.of(self.old, self.new) if self.old is not None and self.new is not None else None

    @property
    def clauses(self) -> tuple[Clause, ...]:
        return tuple(clause for clause in (self.old, self.new) if clause is not None)


_WORDED = (ClauseChangeKind.ADDED, ClauseChangeKind.REMOVED, ClauseChangeKind.MODIFIED)


def substance(comparison: Comparison) -> Substance:
    """Judge one comparison; a pure function of it."""
    edits = [_Edit(change, comparison) for change in comparison.changes if change.kind in _WORDED]
    effective = _effective(edits)
    reason = _why_quiet_whole(comparison, edits)
    left, why = _sieved(edits, comparison) if reason is None else ([], reason)
    if not left:
        return Substance(False, why, effective_date=effective)
    date_only = all(map(_is_date_edit, left))
    silent = date_only or _kept_its_date(comparison, edits)
    telling = tuple(edit.change for edit in left)
    return Substance(True, _why_told(left, date_only), date_only, silent, effective, telling)


def _why_told(edits: Sequence[_Edit], date_only: bool) -> str:
    if date_only:
        return "only a date changed"
    counts = Counter("modified" if edit.pair else edit.change.kind for edit in edits)
    names = {"added": "added", "removed": "removed", "modified": "reworded"}
    parts = [f"{counts[kind]} {names[kind]}" for kind in _WORDED if counts[kind]]
    return "clauses: " + ", ".join(parts)


# --- the change as a whole ------------------------------------------------------------------------------------------


def _why_quiet_whole(comparison: Comparison, edits: Sequence[_Edit]) -> str | None:
    before, after = comparison.before, comparison.after
    if not edits:
        return "only typography, links, numbering or order differ"
    if is_ruin(after, before):
        return "the new text is an error, login or empty page"
    if is_ruin(before, after):
        return "the earlier text was an error, login or empty page"
    if len(edits) > 0.6 * max(len(before), len(after)) and _other_language(before, after):
        return "the page came in another language"
    return None


def _other_language(before: Sequence[Clause], after: Sequence[Clause]) -> bool:
    old, new = language(before), language(after)
    return old is not None and new is not None and old != new


# --- sieves: each returns the edits that it lets stand ----------------------------------------------------------------


def _sieved(edits: list[_Edit], comparison: Comparison) -> tuple[list[_Edit], str]:
    """The edits that are left, and which sieve took the last."""
    plain = [edit for edit in edits if _is_blank(edit) or _is_furniture(edit, comparison)]
    known = set(map(id, plain))
    left = [edit for edit in edits if id(edit) not in known]
    why = "only the page around the terms differs"
    sieves: tuple[tuple[str, Callable[[list[_Edit]], list[_Edit]]], ...] = (
        ("only addresses, links, numbering or order differ", _without_harmless),
        ("the same words, elsewhere or cut otherwise", lambda left: _without_resettled(left, comparison)),
        ("only the page around the terms differs", lambda left: _without_blocks(left, plain, comparison)),
        ("the document's title is set elsewhere", lambda left: _without_titles(left, comparison)),
        ("the same text in another region's spelling", _without_respelled),
        ("only the line with the date was lost", _without_lost_dates),
        ("the page was laid out anew", lambda left: _without_rest(left, edits, comparison)),
    )
    for reason, sieve in sieves:
        if left:
            left, why = sieve(left), reason
    return left, why


def _is_blank(edit: _Edit) -> bool:
    return not any(
        ("![" not in clause.text and _WORD.search(clause.text)) or canonical(clause.text) for clause in edit.clauses
    )


_WORD = re.compile(r"[^\W_]")


def _without_harmless(edits: list[_Edit]) -> list[_Edit]:
    left = [edit for edit in edits if edit.pair is None or harmless(edit.pair) is None]
    uncovered = _uncovered(left)
    return [edit for edit in left if id(edit) not in uncovered]


def _uncovered(edits: Iterable[_Edit]) -> set[int]:
    """Lines that went and came with an address hidden on one side, too short to have been paired."""
    found: set[int] = set()
    gone: dict[str, list[_Edit]] = defaultdict(list)
    lines = [edit for edit in edits if edit.pair is None and any(_ADDRESS.search(c.text) for c in edit.clauses)]
    for edit in lines:
        if edit.old is not None:
            gone[without_addresses(edit.old)].append(edit)
    for edit in lines:
        twins = gone.get(without_addresses(edit.new)) if edit.new is not None else None
        if twins and edit.new is not None and hides_address(edit.new) != hides_address(twins[0].clauses[0]):
            found |= {id(edit), id(twins.pop(0))}
    return found


_ADDRESS = re.compile(r"@|mail[\s\u00a0]{0,3}protected", re.IGNORECASE)


_SEGMENT = re.compile(r"(?<=[.!?;:])[)\"”’*_]*\s+|\n+|<br ?/?>|\|")
_BARE_MARKER = re.compile(
    r"\W*(?:(?:and|or)\b\W*)?(?:(?:[ivxl]{1,5}|[a-z]|\d{1,2}(?:\.\d{1,2})*)(?!\w)\W*)?", re.IGNORECASE
)
# "… damages (1). that …": the mark of a list that was run into its sentence, where paragraphs were joined or cut.
_LIST_MARK = re.compile(r"\s*(?<!\w)\(\d\)\.?(?=\s*$)|^\s*\(\d\)\.?\s+")
_SHORT = 14  # canonical letters: a shorter piece is found inside other words by chance
_PHRASE = re.compile(r"[^\W_]+(?: [^\W_]+)*")


def _without_resettled(edits: list[_Edit], comparison: Comparison) -> list[_Edit]:
    """Drop what stands elsewhere: copies, paragraphs joined or cut, sentences moved between neighbours.

    Sound because it asks both ways: each sentence of the new text must have stood in the old one and the reverse; a
    changed word leaves at least one side without its like.
    """
    # Only where clauses came or went can paragraphs have been joined or cut.
    recut = {
        id(edit) for i, edit in enumerate(edits) if any(near.pair is None for near in edits[max(0, i - 1) : i + 2])
    }
    befores = {e.change.before: e.new for e in edits if id(e) in recut and e.change.before is not None}
    afters = {e.change.after: e.old for e in edits if id(e) in recut and e.change.after is not None}
    before, after = _Standing(comparison.before, befores), _Standing(comparison.after, afters)
    return [edit for edit in edits if _is_novel(edit, before, after, id(edit) in recut)]


def _is_novel(edit: _Edit, before: _Standing, after: _Standing, recut: bool) -> bool:
    if edit.pair is not None:
        if before.lacks(edit.pair.new_start) or after.lacks(edit.pair.old_start):
            return True
        gone, come = _changed_words(edit.pair)
        if not (all(map(before.mentions, come)) and all(map(after.mentions, gone))):
            return True  # a word that the other version has nowhere: no need to look for its sentence
    return not (_stands(edit.old, after, edit.new, recut) and _stands(edit.new, before, edit.old, recut))


_PLAIN_WORD = re.compile(r"(?<![^\W_])[a-z]{4,}(?![^\W_])")
_PLAIN_PHRASE = re.compile(r"[A-Za-z]+(?: [A-Za-z]+)+")
_ANY_WORD = re.compile(r"[A-Z]?[a-z]{3,}|[A-Z]{4,}")


def _changed_words(pair: Pair) -> tuple[set[str], set[str]]:
    old, new = set(_PLAIN_WORD.findall(pair.old_middle)), set(_PLAIN_WORD.findall(pair.new_middle))
    return old - new, new - old


def _cut(clause: Clause, other: Clause | None) -> list[str]:
    """The sentences of a clause that its counterpart does not have to the letter."""
    known = set(_SEGMENT.split(other.text)) if other is not None else set()
    return [piece for piece in _SEGMENT.split(clause.text) if piece not in known]


class _Standing:
    """What one version holds: the recut clauses by canonical text, the others found by a phrase of theirs.

    `recut` are the places where clauses came or went and their neighbours, each with its counterpart if it has one.
    """

    def __init__(self, clauses: Sequence[Clause], recut: Mapping[int, Clause | None]) -> None:
        self._clauses, self._recut = clauses, recut
        self._asked = 0

    def lacks(self, phrase: str) -> bool:
        """Whether a phrase of plain words stands nowhere; never sure of one with a sentence's end or markup in it."""
        return _PLAIN_PHRASE.fullmatch(phrase) is not None and phrase.lower() not in self._lowered

    def mentions(self, word: str) -> bool:
        """Whether the lower-case word stands anywhere, capital letters or not, also glued to others."""
        self._asked += 1
        if self._asked > _WORTH_A_SET:
            return word in self._words
        return word in self._lowered

    @cached_property
    def _words(self) -> frozenset[str]:
        return frozenset(map(str.lower, set(_ANY_WORD.findall(self._text))))

    @cached_property
    def _text(self) -> str:
        return "\n".join([clause.text for clause in self._clauses])

    @cached_property
    def _run(self) -> str:
        """The recut clauses as one canonical text: paragraphs joined or cut are found in it."""
        parts: list[str] = []
        for place in sorted(self._recut):
            parts += ["" if place - 1 in self._recut else "\n", canonical(self._clauses[place].text)]
        return "".join(parts)

    @cached_property
    def _whole(self) -> frozenset[str]:
        """The canonical forms of the recut clauses and of their changed sentences."""
        forms: set[str] = set()
        for place, other in self._recut.items():
            clause = self._clauses[place]
            forms.update(map(canonical, _cut(clause, other)))
            if other is None:
                forms.add(canonical(clause.text))
            if clause.kind is ClauseKind.HEADING:
                forms.add(unnumbered(clause))
        return frozenset(forms)

    @cached_property
    def _lowered(self) -> str:
        return self._text.lower()

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *accumulate(len(clause.text.lower()) + 1 for clause in self._clauses)]

    def holds(self, piece: str, recut: bool) -> bool:
        """Whether the sentence or clause stands here. Outside recut places it is looked for by its letters first."""
        phrase = max(_PHRASE.findall(piece.lower()), key=len, default="")[:60]
        at = self._lowered.find(phrase) if phrase else -1
        if at < 0 and phrase and not recut:
            return False
        form = canonical(piece)
        if not form or (recut and (form in self._whole or (len(form) >= _SHORT and form in self._run))):
            return True
        return self._elsewhere(phrase, at, form)

    def _elsewhere(self, phrase: str, at: int, form: str) -> bool:
        for _ in range(_MOST_PLACES):
            if at < 0:
                return False
            if _has_sentences(self._clauses[bisect_right(self._starts, at) - 1].text, form):
                return True
            at = self._lowered.find(phrase, at + 1)
        return False


def _has_sentences(text: str, form: str) -> bool:
    """Whether whole sentences of the text make the canonical form.

    Whole ones: "We may share your data." is gone, although "We may share your data if you ask us to." stays.
    """
    pieces = [canonical(piece) for piece in _SEGMENT.split(text)]
    for first in range(len(pieces)):
        made = ""
        for piece in pieces[first:]:
            made += piece
            if made == form:
                return True
            if not form.startswith(made):
                break
    return False


_MOST_PLACES = 20
_WORTH_A_SET = 40  # lookups after which it is quicker to cut the whole text into words once


def _stands(clause: Clause | None, there: _Standing, counterpart: Clause | None, recut: bool) -> bool:
    if clause is None or (counterpart is None and there.holds(clause.text, recut)):
        return True
    if clause.kind is ClauseKind.HEADING and there.holds(unnumbered(clause), recut):
        return True
    # A number in a reworded clause is never a mere marker: "15. November".
    pieces = [
        _LIST_MARK.sub("", piece) if recut else piece
        for piece in _cut(clause, counterpart)
        if not _BARE_MARKER.fullmatch(piece) or (counterpart is not None and _DIGIT.search(piece))
    ]
    return (counterpart is not None or len(pieces) > 0) and all(there.holds(piece, recut) for piece in pieces)


_NEAR_THE_TOP = 60


def _without_titles(edits: list[_Edit], comparison: Comparison) -> list[_Edit]:
    """Drop a title that came or went, when each version has one near its top all the same; not one that was replaced."""
    titles = [edit for edit in edits if edit.pair is None and all(map(is_title, edit.clauses))]
    if any(edit.new for edit in titles) and any(edit.old for edit in titles):
        return edits
    if not all(any(map(is_title, side[:_NEAR_THE_TOP])) for side in (comparison.before, comparison.after)):
        return edits
    return [edit for edit in edits if edit not in titles]


_FEW = 8


def _without_blocks(edits: list[_Edit], plain: list[_Edit], comparison: Comparison) -> list[_Edit]:
    """Drop what stands in a block of which most belongs to the site around the terms: forms, cards, widgets."""
    gone: set[int] = set()
    known = set(map(id, plain))
    for block in _blocks(sorted([*edits, *plain], key=_place)):
        if len(block) < 3 or not any(id(edit) in known for edit in block):
            continue
        if any(map(_in_widget, block)):
            known.update(id(edit) for edit in block if _in_widget(edit) or all(c.kind is _ROW for c in edit.clauses))
        if _is_mostly_site(block, known):
            gone.update(map(id, block))
    return [edit for edit in edits if id(edit) not in gone and not _is_among_furniture(edit, comparison)]


def _is_mostly_site(block: Sequence[_Edit], known: Container[int]) -> bool:
    """Half of it plainly the site's own (of a long block of labels a quarter), and hardly anything like a term."""
    share = sum(id(edit) in known for edit in block) / len(block)
    terms = sum(any(map(speaks_of_terms, edit.clauses)) for edit in block if id(edit) not in known)
    if len(block) < _FEW:
        return share >= 0.5 and terms == 0
    if sum(map(_in_widget, block)) >= _SURELY_WIDGET and terms <= 0.25 * len(block):
        return True
    labels = sum(len(clause.text) < _LABEL for edit in block for clause in edit.clauses) > 0.7 * len(block)
    return (share >= 0.5 or (share >= 0.25 and labels)) and terms <= 0.12 * len(block)


_LABEL = 40
_SURELY_WIDGET = 4  # so many phrases of a consent widget make the block one


def _is_among_furniture(edit: _Edit, comparison: Comparison) -> bool:
    before, after = edit.change.before, edit.change.after
    return (before is None or among_furniture(comparison.before, before)) and (
        after is None or among_furniture(comparison.after, after)
    )


_ROW = ClauseKind.ROW


def _in_widget(edit: _Edit) -> bool:
    return any(map(in_consent_widget, edit.clauses))


def _place(edit: _Edit) -> tuple[int, int]:
    return (edit.change.after if edit.change.after is not None else -1, edit.change.before or -1)


def _is_furniture(edit: _Edit, comparison: Comparison) -> bool:
    return (edit.old is None or _around_terms(comparison.before, edit.change.before, removed=True)) and (
        edit.new is None or _around_terms(comparison.after, edit.change.after, removed=False)
    )


def _around_terms(clauses: Sequence[Clause], place: int | None, *, removed: bool) -> bool:
    assert place is not None
    return furniture(clauses[place], _heading(clauses, place), removed=removed)


def _heading(clauses: Sequence[Clause], place: int | None) -> str:
    for clause in reversed(clauses[max(0, (place or 0) - 200) : place]):
        if clause.kind is ClauseKind.HEADING:
            return clause.text
    return ""


def _blocks(edits: Sequence[_Edit]) -> list[list[_Edit]]:
    """Runs of changed clauses, one after the other in the new version, and runs of removed ones in the old."""
    blocks: list[list[_Edit]] = []
    for side in ("after", "before"):
        last = -9
        members = [edit for edit in edits if (edit.new is not None if side == "after" else edit.new is None)]
        for edit in sorted(members, key=lambda edit: getattr(edit.change, side)):
            at = getattr(edit.change, side)
            if at <= last + 2:
                blocks[-1].append(edit)
            else:
                blocks.append([edit])
            last = at
    return blocks


def _without_respelled(edits: list[_Edit]) -> list[_Edit]:
    pairs = [edit.pair for edit in edits if edit.pair is not None]
    return [] if len(pairs) == len(edits) and respelled(pairs) else edits


def _without_lost_dates(edits: list[_Edit]) -> list[_Edit]:
    """A date line that vanished states no new date."""
    lost = all(edit.new is None and _is_date_edit(edit) for edit in edits)
    return [] if lost else edits


_WHOLE_LAYOUT = 60
_REST = 0.06


def _without_rest(left: list[_Edit], edits: list[_Edit], comparison: Comparison) -> list[_Edit]:
    """When most clauses changed and all but a few say the same, the few were lost or found by the new layout.

    Never a reworded clause. What this drops may still be a term, so whoever finds a flag in the change should tell.
    """
    sizes = max(len(comparison.before), len(comparison.after))
    reworded = any(edit.change.kind is ClauseChangeKind.MODIFIED for edit in left)
    words = sum(clause.text.count(" ") + 1 for edit in left for clause in edit.clauses)
    anew = len(edits) >= max(_WHOLE_LAYOUT, 0.4 * sizes) and len(left) <= _REST * len(edits)
    return [] if anew and not reworded and words <= 60 else left


# --- dates -----------------------------------------------------------------------------------------------------------

_STAMP = re.compile(
    r"updated|effective|modified|revis|dated|amended|posted|published|version|in force|aktualisiert|stand\b|gültig"
    r"|kraft"
    r"|mise? à jour|vigueur|actualiza|vigor|aggiorna|atualiza|bijgewerkt|uppdatera|opdatere|oppdatert"
    r"|zaktualizowano|обновлен|更新|改定|시행",
    re.IGNORECASE,
)


def _effective(edits: Iterable[_Edit]) -> date | None:
    added = []
    for edit in edits:
        if edit.new is None or not _DIGIT.search(edit.new.text):
            continue
        if edit.pair is not None and not _DIGIT.search(edit.pair.around + edit.pair.new_middle):
            continue
        if edit.old is None or effective_date([edit.old.text]) != effective_date([edit.new.text]):
            added.append(edit.new.text)
    return effective_date(added)


_DIGIT = re.compile(r"\d")


def _is_date_edit(edit: _Edit) -> bool:
    """A line that states a date, and differs in nothing else."""
    forms = {_undated(clause.text) for clause in edit.clauses}
    if None in forms or len(forms) != 1:
        return False
    return len(edit.clauses) == 2 or all(len(clause.text) < 80 for clause in edit.clauses)


def _undated(text: str) -> str | None:
    """The canonical text without its dates; `None` when it has none, or is no line that states one."""
    found = find_dates(text)
    if not found or (len(text) > 80 and not _STAMP.search(text)):
        return None
    parts, at = [], 0
    for one in found:
        parts.append(text[at : one.start])
        at = one.end
    return canonical("".join((*parts, text[at:])))


def _kept_its_date(comparison: Comparison, edits: Iterable[_Edit]) -> bool:
    """Whether the document states a date and no edit touches it."""
    for edit in edits:
        if _stamps(edit.old) != _stamps(edit.new):
            return False
    ends = (*comparison.after[:_HEAD], *comparison.after[-_HEAD:])
    return any(map(_stamps, ends))


_HEAD = 40  # terms state their date near the top or the end


def _stamps(clause: Clause | None) -> frozenset[tuple[date | None, tuple[int, int] | None]]:
    """The dates that a line such as "Last updated: …" states."""
    if clause is None or len(clause.text) > 240 or not _YEAR.search(clause.text) or not _STAMP.search(clause.text):
        return frozenset()
    return frozenset((one.day, one.month) for one in find_dates(clause.text))


_YEAR = re.compile(r"\d{4}|\d年")
