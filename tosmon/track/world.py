"""What a check works with: the places that touch the world, and the choices of the configuration, wired once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tosmon.archive import Archive, Identity, Snapshots
from tosmon.fetch import Fetcher
from tosmon.judge import Rules
from tosmon.model import Addressee, Alert, Severity


@dataclass(frozen=True, slots=True)
class World:
    """`addressees` says who gets an alert; `confirm_after` of zero tells people at first sight.

    Changes of a severity in `unconfirmed_first` are told at first sight too, marked so, and corrected if need be.
    """

    archive: Archive
    snapshots: Snapshots
    fetcher: Fetcher
    rules: Rules
    identity: Identity
    addressees: Callable[[Alert], Sequence[Addressee]]
    clock: Callable[[], datetime]
    confirm_after: timedelta = timedelta(minutes=10)
    unconfirmed_first: frozenset[Severity] = frozenset()
