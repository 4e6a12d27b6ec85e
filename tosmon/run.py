"""The clock: look at what is due, hand over what is pending, write the feeds, until told to stop.

APScheduler only says "now": which document is due is a column of the archive, and a document is taken from there by a
claim with a lease. So two processes on one archive share the work instead of doubling it, and one that dies loses
nothing but time. Decides nothing about a document: `tosmon.track` does.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Lock
from urllib.parse import quote

from apscheduler.executors.pool import ThreadPoolExecutor as ScheduledThreads
from apscheduler.schedulers.background import BackgroundScheduler

from tosmon import publish, track
from tosmon.archive import LeaseLost, Recorded, Standing
from tosmon.deliver import Channel, Delivered, Suspend, deliver_by, deliver_due, put_off_unknown, suspend_nobody
from tosmon.errors import TosmonError
from tosmon.model import Addressee, Alert, Outcome, Terms, TermsKey, Verdict
from tosmon.track import World, pinned, remind

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=15)
"""How long a document stays with who took it: longer than its slowest look (several pages, each at its time-out)."""

# Seconds. Seldom: reminders, and what is tidied up.
_LOOK_EVERY, _DELIVER_EVERY, _PUBLISH_EVERY, _PINS_EVERY, _PROFILES_EVERY, _BEAT_EVERY = 2, 2, 5, 10, 30, 60
_SELDOM = 600
_LATE = timedelta(hours=1)
"""For so long a document may wait beyond its time before the monitor no longer calls itself alive."""
_EMPTY_FEEDS = 300  # up to so many documents each has a feed before its first alert, so that people can subscribe
_LATEST = 100
_AT_ONCE = 4  # documents taken in one claim: each has its lease, and a look takes seconds at worst


@dataclass(frozen=True, slots=True)
class Works:
    """Everything the clock drives, put together once.

    `channels` are the ways of delivery, by name; `letters` is what goes through one of them before any alert does.
    `operators` are told of the sentences that the operator pinned, `ping` tells a hub of the feeds that are new,
    `heartbeat` tells a dead man's switch that the monitor is alive.
    """

    world: World
    declared: Mapping[TermsKey, Terms]
    channels: Mapping[str, Channel]
    feeds: publish.FeedSettings
    public: Path
    workers: int = 4
    letters: Mapping[str, Callable[[Callable[[], bool]], Delivered]] = field(default_factory=dict)
    suspend: Suspend = suspend_nobody
    operators: Sequence[Addressee] = ()
    ping: Callable[[Sequence[str]], None] | None = None
    heartbeat: Callable[[], None] | None = None
    unreached: Unreached = field(default_factory=lambda: Unreached())


class Unreached:
    """Platforms that cannot be reached, one after the other: after a few of them it is rather this machine's network.

    Safe to use from several threads.
    """

    _FEW = 3

    def __init__(self) -> None:
        self._lock = Lock()
        self._in_a_row = self._unsaid = self._rounds = 0

    def is_news(self, verdict: Verdict) -> bool:
        """Whether a document that cannot be read deserves a warning of its own."""
        with self._lock:
            self._in_a_row = self._in_a_row + 1 if verdict is Verdict.UNREACHABLE else 0
            is_news = self._in_a_row <= self._FEW
            self._unsaid += 0 if is_news else 1
            return is_news

    def reached(self) -> None:
        with self._lock:
            self._in_a_row = 0

    @contextmanager
    def round(self) -> Iterator[None]:
        """A worker's round of looks; the last one to end says in one line what had no warning of its own."""
        with self._lock:
            self._rounds += 1
        try:
            yield
        finally:
            with self._lock:
                self._rounds -= 1
                count = 0
                if not self._rounds and self._unsaid:
                    count, self._unsaid = self._unsaid + self._FEW, 0
            if count:
                log.warning("%d documents could not be reached: look at the network of this machine first", count)


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


def share_heaps() -> None:
    """Have glibc keep two heaps for all threads, not eight for each core: 20-30 MB less. To be called before any starts.

    Elsewhere (musl, macOS, Windows) there is nothing to set.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


_M_ARENA_MAX = -8  # malloc.h


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

    with works.unreached.round(), ThreadPoolExecutor(works.workers, thread_name_prefix="look") as pool:
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
    _log_look(key, recorded, works.unreached)
    return Looked(key, recorded, recorded.outcome, recorded.verdict, recorded.detail)


def _log_look(key: TermsKey, recorded: Recorded, unreached: Unreached) -> None:
    outcome, detail = recorded.outcome, recorded.detail
    if recorded.verdict is Verdict.OK:
        unreached.reached()
    if recorded.alert is not None:
        log.info("%s: told: %s", key, recorded.alert.headline)
    elif recorded.incident_opened:
        log.log(
            logging.WARNING if unreached.is_news(recorded.verdict) else logging.DEBUG,
            "%s: cannot be read: %s",
            key,
            detail,
        )
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
    with works.unreached.round():
        return _look_at_due(works, stop)


def _look_at_due(works: Works, stop: Callable[[], bool]) -> int:
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
    letters = sum((send(stop) for send in works.letters.values()), Delivered())
    outbox, clock = works.world.archive.outbox, works.world.clock
    return letters + deliver_due(outbox, works.channels, clock, stop=stop, suspend=works.suspend)


def tell_of_pins(works: Works) -> list[Alert]:
    """Tell whoever pinned a sentence that it changed or is gone."""
    return pinned.tell_of_pins(works.world, works.operators)


def deliver_through(name: str, works: Works, stop: Callable[[], bool] = never) -> Delivered:
    """Hand over what is due for one channel."""
    letters = works.letters[name](stop) if name in works.letters else Delivered()
    outbox, clock = works.world.archive.outbox, works.world.clock
    return letters + deliver_by(outbox, name, works.channels[name], clock, stop=stop, suspend=works.suspend)


def remind_due(works: Works) -> list[Alert]:
    """Tell people of announced changes whose day has come."""
    return remind(list(works.declared.values()), works.world, works.world.clock().date())


def bring_up_profiles(works: Works, stop: Callable[[], bool] = never) -> int:
    """Bring profiles up to the latest versions; how many documents were behind."""
    world = works.world
    return world.archive.findings.refresh(world.rules, world.clock(), stop=stop)


def publish_new(feeds: FeedFiles, works: Works) -> tuple[Path, ...]:
    """Write the feeds that are new, and tell the hub which, if there is one."""
    written = feeds.write_new()
    if written and works.ping is not None:
        site = works.feeds.site_url.rstrip("/")
        works.ping([f"{site}/{quote(path.relative_to(works.public).as_posix())}" for path in written])
    return written


class FeedFiles:
    """The feeds under the public folder, written anew when there are new alerts or incidents."""

    def __init__(self, works: Works) -> None:
        self._works = works
        self._browse = works.world.archive.browse
        self._known: frozenset[publish.Feed] = frozenset()
        self._incidents: tuple[int, int] | None = None
        self._written: int | None = None  # the newest alert that the files hold; nobody knows before the first round

    def write_new(self) -> tuple[Path, ...]:
        """Write what is new, and everything the first time; the files that are new. Raises TosmonError."""
        try:
            return self._write_alerts() + self._write_incidents()
        except OSError as error:
            raise TosmonError(
                f"the feeds in {self._works.public} cannot be written: {error.strerror or error}"
            ) from error

    def _write_alerts(self) -> tuple[Path, ...]:
        last = self._browse.last_alert_id()
        if last == self._written:
            return ()
        written = self._write()
        self._written = last
        return written

    def _write_incidents(self) -> tuple[Path, ...]:
        last = self._browse.last_incident_event()
        if last == self._incidents:
            return ()
        written = publish.write_incidents(self._works.public, self._browse.incident_events(), self._works.feeds)
        self._incidents = last
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
        pinned_now = [alert for alert in self._browse.alerts(publish.PINS.path, 1) if alert.id > self._written]
        feeds = [*_distinct(new), *([publish.PINS] if pinned_now else [])]
        return feeds if len(new) < _LATEST else None

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
                feeds += [feed for feed in (*_distinct(latest), publish.PINS) if feed.path == path]
        return list(dict.fromkeys(feeds))


def _distinct(alerts: Iterable[Alert]) -> list[publish.Feed]:
    return list(dict.fromkeys(feed for alert in alerts for feed in publish.feeds_for(alert)))


# --- the clock -----------------------------------------------------------------------------------------------------


def beat(works: Works) -> bool:
    """Tell the dead man's switch that we are alive, unless a document has waited too long: silence is the alarm."""
    if works.heartbeat is None:
        return False
    due = works.world.archive.browse.pulse().next_due_at
    if due is not None and works.world.clock() - due > _LATE:
        log.error("heartbeat: withheld, a document waits for its look since %s", due.isoformat())
        return False
    works.heartbeat()
    return True


def run(works: Works, stop: Event) -> None:
    """Drive everything until `stop` is set; then finish the looks and the delivery at hand, and return."""
    # A job that is still at work when its time comes again is no news, it is the rule.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    feeds, outbox = FeedFiles(works), works.world.archive.outbox
    scheduler = BackgroundScheduler(
        timezone=UTC,
        executors={"default": ScheduledThreads(works.workers + 3 + len(works.channels))},
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
    for name in works.channels:  # each by itself: a hook that hangs for minutes must not keep a mail waiting
        every(_DELIVER_EVERY, partial(deliver_through, name, works, stop.is_set), f"deliver by {name}")
    every(_SELDOM, lambda: put_off_unknown(outbox, works.channels, works.world.clock), "outbox")
    every(_SELDOM, lambda: works.world.archive.subscribers.forget_unconfirmed(works.world.clock()), "forget")
    every(_PINS_EVERY, lambda: tell_of_pins(works), "pins")
    every(_PUBLISH_EVERY, lambda: publish_new(feeds, works), "publish")
    every(_PROFILES_EVERY, lambda: bring_up_profiles(works, stop.is_set), "profiles")
    every(_SELDOM, lambda: remind_due(works), "remind")
    every(_BEAT_EVERY, lambda: beat(works), "heartbeat")
    scheduler.start()
    try:
        stop.wait()
    finally:
        scheduler.shutdown(wait=True)
    feeds.write_new()
