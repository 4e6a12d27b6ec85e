"""Judge recorded changes again after the rules changed, at the cost of what is said otherwise now.

What people were told stays as it was told: an alert is a fact. A change that turns out to have been missed is
recorded as found later and shown in the archive; nobody is alerted of something that may be years old.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from tosmon import judge
from tosmon.archive import Archive, ChangeRow, Rejudged
from tosmon.compare import compare
from tosmon.model import Flag, Judgement


@dataclass(frozen=True, slots=True)
class Rejudging:
    """What judging history again came to: how many documents and changes were looked at, and what came out otherwise.

    `left` documents were not reached, as it was stopped; the next one goes on with them.
    """

    documents: int
    changes: int
    rejudged: tuple[Rejudged, ...]
    left: int = 0


def rejudge(
    archive: Archive,
    rules: judge.Rules,
    now: datetime,
    *,
    service: str | None = None,
    stop: Callable[[], bool] = lambda: False,
    step: Callable[[int, int], None] = lambda done, total: None,
) -> Rejudging:
    """Bring profiles and flags of all history (or of one service) to these rules; a document that has them is left out.

    Each document is one transaction, so it may be stopped at any time and called again. `step` is told how many
    documents are done, and how many there are.
    """
    waiting = archive.findings.unjudged(rules, now, service)
    looked = changes = 0
    otherwise: list[Rejudged] = []
    for terms_id in waiting:
        if stop():
            return Rejudging(looked, changes, tuple(otherwise), len(waiting) - looked)
        study = archive.findings.study(terms_id, rules, now, changes=True)
        if study is not None:
            found = [
                one for change_id in study.suspects if (one := _judged_again(archive, change_id, rules)) is not None
            ]
            if archive.findings.keep(study, now, judged=True, rejudged=found):
                changes += len(study.suspects)
                otherwise += found
        looked += 1
        step(looked, len(waiting))
    if service is None:
        archive.findings.forget_unused()
    return Rejudging(looked, changes, tuple(otherwise))


def _judged_again(archive: Archive, change_id: int, rules: judge.Rules) -> Rejudged | None:
    """The change with its new judgement, `None` where it comes to the same flags."""
    change = archive.browse.change(change_id)
    if change is None:
        return None
    comparison = compare(archive.browse.clauses(change.before_id), archive.browse.clauses(change.after_id))
    judgement = judge.judge(
        comparison, rules, service_name=change.service_name, type=change.key.type, at=change.at.date()
    )
    if _same(judgement.flags, change.flags):
        return None
    return Rejudged(change, _as_dated(judgement, change))


def _same(flags: tuple[Flag, ...], others: tuple[Flag, ...]) -> bool:
    """Whether they say the same: which rules say so, and why, may be put otherwise."""
    return [replace(one, rules=(), why="") for one in flags] == [replace(one, rules=(), why="") for one in others]


def _as_dated(judgement: Judgement, change: ChangeRow) -> Judgement:
    """Dates were read from the texts when they came in; rules have no part in them."""
    return replace(judgement, effective_date=change.effective_date, date_only=change.date_only, silent=change.silent)
