"""Decide whether people are told of a change: the order of gates, as one function.

What is kept never depends on what is decided here: every version is recorded either way, and each change that
people are not told of says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tosmon.model import ChangeState, Judgement


@dataclass(frozen=True, slots=True)
class Decision:
    state: ChangeState
    reason: str


def decide(
    judgement: Judgement,
    *,
    known_since: datetime | None,
    recombined: bool,
    in_force: bool,
    confirm: bool,
    volatile: bool = False,
) -> Decision:
    """What to do with a new text.

    `known_since`: when this very text (by canonical form) stood in the document before, `None` if it never did.
    `recombined`: all that came, came back, and all that went had been gone before (one of several variants that a
    platform serves in turn). `in_force`: people were told of the new text when it was announced, and all that happened
    is that the old one is gone from beside it. `volatile`: all that differs stands in parts of the document that keep
    changing by themselves. `confirm`: a second look is wanted before telling.
    """
    if known_since is not None:
        return Decision(ChangeState.SUPPRESSED, f"returned to the text of {known_since:%Y-%m-%d %H:%M} UTC")
    if not judgement.substantive:
        return Decision(ChangeState.SUPPRESSED, judgement.reason)
    if recombined:
        return Decision(ChangeState.SUPPRESSED, "made only of wording that stood here before")
    if in_force:
        return Decision(ChangeState.SUPPRESSED, "the announced text is in force: the one it replaces is gone")
    if volatile:
        return Decision(ChangeState.SUPPRESSED, "only a part that keeps changing by itself differs")
    if confirm:
        return Decision(ChangeState.PENDING, "waits for a second look")
    return Decision(ChangeState.TOLD, judgement.reason)
