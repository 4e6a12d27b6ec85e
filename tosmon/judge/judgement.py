"""What a change means for people: its flags, one headline, how grave it is, from when it applies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date

from tosmon.clauses import heading_paths
from tosmon.compare.substance import Substance, substance
from tosmon.judge.amounts import amounts
from tosmon.judge.flags import flags
from tosmon.judge.rules import Rules
from tosmon.judge.telling import headline, severity
from tosmon.language import NAMES, guess_language
from tosmon.model import ClauseChange, ClauseChangeKind, Comparison, Direction, Flag, Judgement, Severity

_VERBS = {
    ClauseChangeKind.ADDED: "added",
    ClauseChangeKind.REMOVED: "removed",
    ClauseChangeKind.MODIFIED: "reworded",
}


def judge(comparison: Comparison, rules: Rules, *, service_name: str, type: str, at: date | None = None) -> Judgement:
    """Judge one change. `at` is the day it was seen: an effective date long past at that day is not repeated.

    A change of no substance has no flags. Where our rules do not know the language, the summary says so.
    """
    found = substance(comparison)
    raised = flags(comparison, rules, found.telling, service_name=service_name) if found.told else ()
    reworded = _reworded(comparison, found)
    told = _summary(raised, reworded, found, lambda: _unread(comparison, rules))
    return Judgement(
        substantive=found.told,
        reason=found.reason,
        severity=severity(raised) if raised else Severity.LOW,
        headline=headline(service_name, type, raised, found.effective_date, reworded),
        flags=raised,
        effective_date=found.effective_date,
        date_only=found.date_only,
        silent=found.silent,
        telling=found.telling,
        summary=told[:1].upper() + told[1:] + ".",
    )


def _summary(raised: tuple[Flag, ...], reworded: str, found: Substance, unread: Callable[[], str]) -> str:
    if not found.told:
        return found.reason
    if found.date_only:
        return "only the date of the document changed"
    if raised:
        return "; ".join(dict.fromkeys(_for_you(flag) for flag in raised))
    if language := unread():
        return f"{reworded}; the text is in {language}, which the rules do not read: look for yourself"
    return f"{reworded}; no effect on your content found"


def _for_you(flag: Flag) -> str:
    return flag.what if flag.direction is Direction.NEUTRAL else f"{flag.what} ({flag.direction} for you)"


def _reworded(comparison: Comparison, found: Substance) -> str:
    """ "12 clauses reworded in 'Payments'", or "'Fees': 5 → 8 per cent": what is left to say where no flag is raised."""
    if found.date_only:
        return "new date, same text"
    if told := amounts(comparison, found.telling):
        return told
    counted = Counter(_VERBS.get(change.kind, "changed") for change in found.telling)
    if not counted:
        return found.reason
    total = sum(counted.values())
    verb = next(iter(counted)) if len(counted) == 1 else "changed"
    where = _heading(comparison, found.telling)
    return f"{total} clause{'s' if total > 1 else ''} {verb}{f' in “{where}”' if where else ''}"


def _heading(comparison: Comparison, changes: tuple[ClauseChange, ...]) -> str:
    """The one heading under which all changes stand, if there is one."""
    before, after = heading_paths(comparison.before), heading_paths(comparison.after)
    above = set()
    for change in changes:
        if change.after is not None:
            path = after[change.after]
        else:
            path = before[change.before] if change.before is not None else ()
        above.add(path[-1] if path else "")
    return above.pop() if len(above) == 1 else ""


def _unread(comparison: Comparison, rules: Rules) -> str:
    """The name of the text's language if no rule reads it."""
    language = guess_language(" ".join(clause.text for clause in (comparison.after or comparison.before)[:400]))
    return "" if language is None or language in rules.languages else NAMES.get(language, language)
