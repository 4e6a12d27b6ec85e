"""The clock: look at what is due, hand over what is pending, write the feeds, until told to stop.

APScheduler only says "now": which document is due is a column of the archive, and a document is taken from there by a
claim with a lease. So two processes on one archive share the work instead of doubling it, and one that dies loses
nothing but time. Decides nothing about a document: `tosmon.track` does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event

from apscheduler.executors.pool import ThreadPoolExecutor as ScheduledThreads
from apscheduler.schedulers.background import BackgroundScheduler

from tosmon import publish, track
from tosmon.archive import LeaseLost, Recorded, Standing
from tosmon.deliver import Channel, Delivered, deliver_due
from tosmon.errors import TosmonError
from tosmon.model import Alert, Outcome, Terms, TermsKey, Verdict
from tosmon.track import World, remind

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=15)
"""How long a document stays with who took it: longer than its slowest look (several pages, each at its time-out)."""

_LOOK_EVERY, _DELIVER_EVERY, _PUBLISH_EVERY, _REMIND_EVERY = 2, 5, 5, 600  # seconds
_EMPTY_FEEDS = 300  # up to so many documents each has a feed before its first alert, so that people can subscribe
_LATEST = 100
_AT_ONCE = 4  # documents taken in one claim: each has its lease, and a look takes seconds at worst


@dataclass(frozen=True, slots=True)
class Works:
    """Everything the clock drives, put together once. `channels` opens the ways of delivery for one round of it."""

    world: World
    declared: Mapping[TermsKey, Terms]
    channels: Callable[[], AbstractContextManager[Mapping[str, Channel]]]
    feeds: publish.FeedSettings
    public: Path
    workers: int = 4


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of one look. Without `recorded` nothing did, and `detail` says why.

    `outcome` is `None` when the document was left to another process, and FAILED for a bug.
    """

    key: TermsKey
    recorded: Recorded | None
    outcome: Outcome | None
    verdict: Verdict | None
    detail: str = ""


def never() -> bool:
    return False


# --- looking ---------------------------------------------------------------------------------------------------------


def look_at(
    keys: Sequence[TermsKey],
    works: Works,
    *,
    stop: Callable[[], bool] = never,
    done: Callable[[Looked], None] = lambda looked: None,
) -> list[Looked]:
    """Look at these documents, due or not, a few at once; those that another process is looking at are left to it.

    `done` is called after each, in no order. When `stop` becomes true, the looks at hand are finished and no other is
    begun. Raises the first ArchiveError: a full disk fails every document.
    """
    waiting: SimpleQueue[TermsKey] = SimpleQueue()
    for key in keys:
        waiting.put(key)
    looked: list[Looked] = []

    def work() -> None:
        while not stop():
            try:
                key = waiting.get_nowait()
            except Empty:
                return
            one = _claim_and_look(key, works)
            looked.append(one)
            done(one)

    with ThreadPoolExecutor(works.workers, thread_name_prefix="look") as pool:
        futures = [pool.submit(work) for _ in range(min(works.workers, len(keys)))]
    for future in futures:
        future.result()
    order = {key: number for number, key in enumerate(keys)}
    return sorted(looked, key=lambda one: order[one.key])


def _claim_and_look(key: TermsKey, works: Works) -> Looked:
    claimed = works.world.archive.claim([key], works.world.clock(), LEASE)
    if not claimed:
        return Looked(key, None, None, None, "another process is looking at it")
    return look(claimed[0], works)


def look(standing: Standing, works: Works) -> Looked:
    """Look at one claimed document. A bug that one page brings out must not blind us for the others: it is logged."""
    key = standing.key
    try:
        recorded = track.check(standing, works.declared[key], works.world)
    except LeaseLost as error:
        return Looked(key, None, None, None, str(error))
    except TosmonError:
        with suppress(Exception):  # what cannot be written can hardly be given back either; then the lease runs out
            works.world.archive.release(standing)
        raise
    except Exception as error:
        # The lease stays: the document is tried again when it has run out, not at once and for ever.
        log.exception("%s: a bug; please report it", key)
        return Looked(key, None, Outcome.FAILED, None, f"{type(error).__name__}: {error}")
    _log_look(key, recorded.outcome, recorded.detail, recorded)
    return Looked(key, recorded, recorded.outcome, recorded.verdict, recorded.detail)


def _log_look(key: TermsKey, outcome: Outcome, detail: str, recorded: Recorded) -> None:
    if recorded.alert is not None:
        log.info("%s: told: %s", key, recorded.alert.headline)
    elif recorded.incident_opened:
        log.warning("%s: cannot be read: %s", key, detail)
    elif recorded.incident_closed:
        log.info("%s: can be read again", key)
    else:
        log.log(
            logging.DEBUG if outcome is Outcome.UNCHANGED else logging.INFO,
            "%s: %s%s",
            key,
            outcome.value,
            f" ({detail})" if detail else "",
        )


def look_at_due(works: Works, stop: Callable[[], bool] = never) -> int:
    """Look at what is due, one after the other, until nothing is; how many that were."""
    count = 0
    while not stop():
        claimed = works.world.archive.claim_due(works.world.clock(), LEASE, _AT_ONCE)
        if not claimed:
            break
        for standing in claimed:
            if stop():
                works.world.archive.release(standing)
            elif standing.key in works.declared:
                look(standing, works)
                count += 1
            else:
                # Declared by another process on this archive, by a configuration that is not ours. It keeps the lease,
                # or we would be handed the same document again and again.
                log.debug("%s: declared elsewhere, left alone", standing.key)
    return count


# --- telling -------------------------------------------------------------------------------------------------------


def deliver(works: Works, stop: Callable[[], bool] = never) -> Delivered:
    """Hand over every notification that is due."""
    with works.channels() as channels:
        return deliver_due(works.world.archive.outbox, channels, works.world.clock, stop=stop)


def remind_due(works: Works) -> list[Alert]:
    """Tell people of announced changes whose day has come."""
    return remind(list(works.declared.values()), works.world, works.world.clock().date())


class FeedFiles:
    """The feeds under the public folder, written anew when there are new alerts."""

    def __init__(self, works: Works) -> None:
        self._works = works
        self._browse = works.world.archive.browse
        self._known: frozenset[publish.Feed] = frozenset()
        self._written: int | None = None  # the newest alert that the files hold; nobody knows before the first round

    def write_new(self) -> tuple[Path, ...]:
        """Write what new alerts change, and everything the first time; the files that are new. Raises TosmonError."""
        last = self._browse.last_alert_id()
        if last == self._written:
            return ()
        try:
            written = self._write()
        except OSError as error:
            raise TosmonError(
                f"the feeds in {self._works.public} cannot be written: {error.strerror or error}"
            ) from error
        self._written = last
        return written

    def _write(self) -> tuple[Path, ...]:
        written: tuple[Path, ...] = ()
        feeds = self._touched()
        if feeds is None or not self._known.issuperset(feeds):
            everything = self.all_feeds()
            written += publish.write_opml(self._works.public, everything, self._works.feeds)
            self._known = frozenset(everything)
            feeds = everything if feeds is None else feeds
        return written + publish.write(self._works.public, self._alerts_of, feeds, self._works.feeds)

    def _alerts_of(self, feed: publish.Feed) -> list[Alert]:
        return self._browse.alerts(feed.path, _LATEST)

    def _touched(self) -> list[publish.Feed] | None:
        """The feeds that alerts since the last round stand in; `None` when those are too many to tell."""
        if self._written is None:
            return None
        latest = self._browse.alerts(publish.ALL.path, _LATEST)
        new = [alert for alert in latest if alert.id > self._written]
        return _distinct(new) if len(new) < _LATEST else None

    def all_feeds(self) -> list[publish.Feed]:
        """Every feed that has an entry, that of everything, and those of declared services and documents."""
        feeds = [publish.ALL]
        declared = self._works.declared.values()
        feeds += [publish.service_feed(terms.key.service, terms.service_name) for terms in declared]
        if len(self._works.declared) <= _EMPTY_FEEDS:
            feeds += [publish.document_feed(terms.key, terms.service_name) for terms in declared]
        known = {feed.path for feed in feeds}
        for path in self._browse.feeds():
            if path not in known:
                latest = self._browse.alerts(path, 1)
                feeds += [feed for feed in _distinct(latest) if feed.path == path]
        return list(dict.fromkeys(feeds))


def _distinct(alerts: Iterable[Alert]) -> list[publish.Feed]:
    return list(dict.fromkeys(feed for alert in alerts for feed in publish.feeds_for(alert)))


# --- the clock -----------------------------------------------------------------------------------------------------


def run(works: Works, stop: Event) -> None:
    """Drive everything until `stop` is set; then finish the looks and the delivery at hand, and return."""
    # A job that is still at work when its time comes again is no news, it is the rule.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    feeds = FeedFiles(works)
    scheduler = BackgroundScheduler(
        timezone=UTC,
        executors={"default": ScheduledThreads(works.workers + 3)},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )

    def every(seconds: float, job: Callable[[], object], name: str) -> None:
        def survive() -> None:
            try:
                job()
            except TosmonError as error:  # a full disk, a locked archive: said, and tried again at the next tick
                log.error("%s: %s", name, error)

        scheduler.add_job(survive, "interval", seconds=seconds, id=name, next_run_time=datetime.now(UTC))

    for number in range(works.workers):
        every(_LOOK_EVERY, lambda: look_at_due(works, stop.is_set), f"look {number + 1}")
    every(_DELIVER_EVERY, lambda: deliver(works, stop.is_set), "deliver")
    every(_PUBLISH_EVERY, feeds.write_new, "publish")
    every(_REMIND_EVERY, lambda: remind_due(works), "remind")
    scheduler.start()
    try:
        stop.wait()
    finally:
        scheduler.shutdown(wait=True)
    feeds.write_new()
