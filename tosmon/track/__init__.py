"""A check: look at one document, and leave everything that was found in the archive, in one transaction.

The steps are pure and return values (extract, compare, judge, gates); this module only ties them together. It does
not decide when to look (run, the command line and the queue do) and sends nothing (deliver does).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tosmon import extract, gates, schedule
from tosmon.archive import NewChange, Recorded, Recording, Settled, Standing, VersionRow
from tosmon.clauses import join
from tosmon.errors import ExtractionError
from tosmon.fetch import Fetched
from tosmon.gates.volatile import Part
from tosmon.language import guess_language
from tosmon.model import AlertKind, ChangeState, Observation, Outcome, Reading, Response, Terms, Verdict, Version
from tosmon.track.alerts import restored_headline, unconfirmed_headline, withdrawn_headline
from tosmon.track.memory import RECENT, ArchiveMemory
from tosmon.track.news import by_one_form, extractor_of, make_version, news_of
from tosmon.track.telling import recorded_change, remind, telling, telling_of
from tosmon.track.world import World

__all__ = ["World", "check", "observe", "remind"]

# What stands for this long, seen this often, is no accident: the platform did cut its terms down, or does write them in
# another language now. Of 383 collapses on record 335 were over within three looks, but some lasted for a week.
_STANDS = {Verdict.COLLAPSED: timedelta(days=14), Verdict.WRONG_LANGUAGE: timedelta(days=2)}
_STANDS_LOOKS = 5
# Terms that are cut down keep some of their sentences; a page with none of them is another page: a summary, a list of links.
_SOMETHING_LEFT = 0.1
_WITHDRAWN_AFTER = timedelta(days=3)
_MAY_NEED_A_BROWSER = (Verdict.EMPTY, Verdict.BLOCKED, Verdict.SELECTOR_LOST, Verdict.COLLAPSED)


def check(standing: Standing, terms: Terms, world: World) -> Recorded:
    """Look at a claimed document once. Raises LeaseLost when another process took it over, ArchiveError."""
    at = world.clock()
    # A change that waits is looked at with fresh eyes: a 304 would only say that one server's cache is of the same mind.
    validators = standing.validators if standing.pending is None else {}
    fetched = world.fetcher.fetch(terms.form_at(at), validators, language=terms.language)
    if fetched.problem is not None:
        detail = str(fetched.problem)
        return _failed(standing, terms, world, at, fetched, Observation(Verdict.UNREACHABLE, detail))
    if fetched.not_modified and standing.latest is not None:
        return _same(standing, terms, world, at, _seen_before(standing))
    seen = _Seen(fetched.responses, _bytes_digest(fetched.responses, terms, at))
    if standing.latest is not None and seen.body_digest == standing.body_digest:
        traces = replace(seen, fingerprint=standing.fingerprint, missing=standing.missing)
        return _same(standing, terms, world, at, traces)
    seen = replace(seen, fingerprint=_fingerprint(fetched.responses, terms, at, _form_in_use(standing)))
    if standing.latest is not None and seen.fingerprint == standing.fingerprint:
        return _same(standing, terms, world, at, replace(seen, missing=standing.missing))
    incident = standing.incident
    if incident is not None and incident.fingerprint == seen.fingerprint and incident.verdict not in _STANDS:
        return _failed(standing, terms, world, at, fetched, Observation(incident.verdict, incident.detail), seen)
    observation = observe(fetched.responses, terms, standing, world, at)
    was_rendered = any(response.rendered for response in fetched.responses)
    if (
        observation.verdict in _MAY_NEED_A_BROWSER
        and not was_rendered
        and (rendered := world.fetcher.rendered(terms.form_at(at)))
    ):
        was_rendered = True
        second = observe(rendered.responses, terms, standing, world, at) if rendered.problem is None else observation
        if second.verdict is Verdict.OK:
            fetched, observation = rendered, second
            # The traces are those of the rendered page: the plain shell may stay the same while the text changes.
            digest = _bytes_digest(rendered.responses, terms, at)
            seen = _Seen(rendered.responses, digest)
    if was_rendered:
        world.fetcher.browser_told(terms.form_at(at), of_use=observation.verdict is Verdict.OK)
    if observation.verdict is not Verdict.OK or observation.reading is None:
        return _failed(standing, terms, world, at, fetched, observation, seen)
    return _read(standing, terms, world, at, seen, observation.reading)


def observe(responses: Sequence[Response], terms: Terms, standing: Standing, world: World, at: datetime) -> Observation:
    """Read the responses and say what they are worth, against the last good version."""
    last_text = None
    if standing.latest is not None:
        last_text = join(world.archive.browse.clauses(standing.latest.id))
    try:
        reading: Reading | None = extract.read(responses, terms, at, last_text)
    except ExtractionError as error:
        return Observation(Verdict.UNREADABLE, str(error))
    observation = gates.verdict(responses, reading, terms=terms, last_good=_last_good(standing, last_text or ""))
    if observation.verdict is Verdict.WRONG_LANGUAGE and terms.language is None and reading is not None:
        observation = _back_in_its_language(observation, reading, responses, terms, standing, world, at)
    incident = standing.incident
    if incident is None or observation.verdict is not incident.verdict or incident.verdict not in _STANDS:
        return observation
    stands = incident.looks >= _STANDS_LOOKS and at - incident.opened_at >= _STANDS[incident.verdict]
    if not stands or reading is None or not extract.reads_like_terms(reading.text):
        return observation
    if incident.verdict is Verdict.COLLAPSED and gates.likeness(last_text or "", reading.text) < _SOMETHING_LEFT:
        return observation
    return Observation(Verdict.OK, f"{incident.verdict}, but it stands since days", reading)


def _back_in_its_language(
    observation: Observation,
    reading: Reading,
    responses: Sequence[Response],
    terms: Terms,
    standing: Standing,
    world: World,
    at: datetime,
) -> Observation:
    """A document that stood in several languages is held against its last text in the one that came: it may be back."""
    now = guess_language(reading.text)
    for row in world.archive.browse.recent_versions(standing.terms_id, RECENT, known_only=True):
        text = join(world.archive.browse.clauses(row.id))
        if now is not None and guess_language(text) == now:
            anew = extract.read(responses, terms, at, text)
            last = gates.LastGood(row.words, standing.final_urls, row.language, standing.missing, text)
            return gates.verdict(responses, anew, terms=terms, last_good=last)
    return observation


@dataclass(frozen=True, slots=True)
class _Seen:
    """The traces of a whole observation that the next check compares with."""

    responses: tuple[Response, ...]
    body_digest: bytes | None
    fingerprint: bytes | None = None
    missing: tuple[str, ...] = ()


def _seen_before(standing: Standing) -> _Seen:
    return _Seen((), standing.body_digest, standing.fingerprint, standing.missing)


# --- the three ends of a check -----------------------------------------------------------------------------------


def _failed(
    standing: Standing,
    terms: Terms,
    world: World,
    at: datetime,
    fetched: Fetched,
    observation: Observation,
    seen: _Seen | None = None,
) -> Recorded:
    """Nothing to record but that and why; the evidence is kept once for each new kind of failure."""
    failures = standing.failures + 1
    is_new = standing.incident is None or standing.incident.verdict is not observation.verdict
    snapshot = world.snapshots.keep(terms.key, fetched.responses) if fetched.responses and is_new else None
    return world.archive.record(
        Recording(
            standing,
            at,
            world.clock(),
            observation.verdict,
            Outcome.FAILED,
            observation.detail,
            schedule.next_check(terms, at, failures=failures, retry_after=fetched.retry_after),
            failures,
            status=_status(fetched.responses),
            snapshot=snapshot,
            fingerprint=seen.fingerprint if seen else None,
            undone_change_id=standing.undone.id if standing.undone else None,
        )
    )


def _same(
    standing: Standing,
    terms: Terms,
    world: World,
    at: datetime,
    seen: _Seen,
    *,
    technical: Version | None = None,
    cosmetic: Version | None = None,
) -> Recorded:
    """The words of the latest version stand: a pending change is confirmed by that, a withdrawal comes of age."""
    settled: list[Settled] = []
    waiting = False
    if standing.pending is not None:
        waiting = at - standing.pending.at < world.confirm_after / 2
        if not waiting:
            settled.append(_confirmed(standing.pending.id, terms, world))
    undone = standing.undone
    if undone is not None and standing.latest is not None and at - standing.latest.at >= _WITHDRAWN_AFTER:
        settled.append(_turned(undone.id, standing.latest, terms, world, at))
        undone = None
    outcome, detail = Outcome.UNCHANGED, ""
    if cosmetic is not None:
        outcome, detail = Outcome.QUIET, "cosmetic: the same words"
    elif technical is not None:
        outcome, detail = Outcome.TECHNICAL, "the same page, read anew"
    return _whole(
        standing, terms, world, at, seen, outcome, detail, technical=technical, version=cosmetic, settled=settled,
        waiting=waiting, undone_change_id=undone.id if undone else None,
    )  # fmt: skip


def _confirmed(change_id: int, terms: Terms, world: World) -> Settled:
    """A change was seen twice: people are told, unless they were at first sight. Then that stands, without a word."""
    change = recorded_change(world, change_id)
    known = any(alert.kind is AlertKind.UNCONFIRMED for alert in world.archive.browse.alerts_of(change.id))
    return Settled(change.id, ChangeState.TOLD, "seen twice", None if known else telling(change, terms, world))


def _gone(change_id: int, terms: Terms, world: World, at: datetime) -> Settled:
    """A change was no longer there at the second look: who was told at first sight is told that."""
    reason = "gone at the second look"
    if not world.archive.browse.alerts_of(change_id):
        return Settled(change_id, ChangeState.GONE, reason)
    change = recorded_change(world, change_id)
    tell = telling(change, terms, world, AlertKind.CORRECTION, at, unconfirmed_headline(change.headline))
    return Settled(change_id, ChangeState.GONE, reason, tell)


def _turned(change_id: int, stands: VersionRow, terms: Terms, world: World, at: datetime) -> Settled:
    """A told change was taken back for days, or stands again after that: each is told once."""
    change = recorded_change(world, change_id)
    if change.state is ChangeState.WITHDRAWN:
        tell = telling(change, terms, world, AlertKind.CORRECTION, at, restored_headline(change.headline))
        return Settled(change_id, ChangeState.TOLD, f"stands again since {stands.at:%Y-%m-%d}", tell)
    headline = withdrawn_headline(change.headline)
    tell = telling(change, terms, world, AlertKind.WITHDRAWN, at, headline, stands=stands)
    reason = f"the text of before stands again since {stands.at:%Y-%m-%d}"
    return Settled(change_id, ChangeState.WITHDRAWN, reason, tell)


def _read(standing: Standing, terms: Terms, world: World, at: datetime, seen: _Seen, reading: Reading) -> Recorded:
    """A text was read anew: nothing but the traces differ, or it is the first version, or a change of some sort."""
    if standing.latest is None:
        seen = _traced(seen, reading, terms, at)
        return _whole(standing, terms, world, at, seen, Outcome.FIRST, "", version=make_version(reading, terms, at))
    reading, technical = by_one_form(standing.latest, seen.responses, reading, terms, world, at)
    version = make_version(reading, terms, at)
    seen = _traced(seen, reading, terms, at)
    latest = technical or standing.latest
    if version.digest == latest.digest:
        return _same(standing, terms, world, at, seen, technical=technical)
    if version.canonical_digest == latest.canonical_digest:
        return _same(standing, terms, world, at, seen, technical=technical, cosmetic=version)
    confirm = world.confirm_after > timedelta(0)
    memory = ArchiveMemory(world.archive, standing)
    news = news_of(
        version, terms, memory, world.rules, at, technical=technical, confirm=confirm,
        volatile=lambda: memory.volatile(version),
    )  # fmt: skip
    state, reason = news.decision.state, news.decision.reason
    settled: list[Settled] = []
    if standing.pending is not None:
        settled.append(_gone(standing.pending.id, terms, world, at))
    tell = None
    if state is ChangeState.TOLD:
        tell = telling_of(AlertKind.CHANGE, news.comparison, news.judgement, terms, world, at)
    elif state is ChangeState.PENDING and news.judgement.severity in world.unconfirmed_first:
        tell = telling_of(AlertKind.UNCONFIRMED, news.comparison, news.judgement, terms, world, at)
    outcome = Outcome.QUIET if state is ChangeState.SUPPRESSED else Outcome.CHANGED
    return _whole(
        standing, terms, world, at, seen, outcome, reason, technical=technical, version=version,
        change=NewChange(news.before_id, news.judgement, news.comparison, state, reason, tell), settled=settled,
        waiting=state is ChangeState.PENDING, undone_change_id=news.undone, volatile=news.learnt,
    )  # fmt: skip


def _whole(
    standing: Standing,
    terms: Terms,
    world: World,
    at: datetime,
    seen: _Seen,
    outcome: Outcome,
    detail: str,
    *,
    technical: Version | None = None,
    version: Version | None = None,
    change: NewChange | None = None,
    settled: Sequence[Settled] = (),
    waiting: bool = False,
    undone_change_id: int | None = None,
    volatile: tuple[Part, ...] = (),
) -> Recorded:
    """Record a whole observation, with its evidence when it makes a version, and when to look again."""
    is_new = version is not None or technical is not None
    snapshot = world.snapshots.keep(terms.key, seen.responses) if is_new and seen.responses else None
    confirm_after = world.confirm_after if waiting else None
    told_now = (change is not None and change.tell is not None) or any(one.tell is not None for one in settled)
    changed = at if told_now else standing.told_at
    announced = change.judgement.effective_date if change and change.judgement.effective_date else standing.announced
    interval = schedule.adapted(terms.interval, at.date(), changed.date() if changed else None, announced)
    return world.archive.record(
        Recording(
            standing,
            at,
            world.clock(),
            Verdict.OK,
            outcome,
            detail,
            schedule.next_check(replace(terms, interval=interval), at, confirm_after=confirm_after),
            0,
            status=_status(seen.responses),
            snapshot=snapshot,
            technical=technical,
            version=version,
            change=change,
            settled=tuple(settled),
            undone_change_id=undone_change_id,
            volatile=volatile,
            seen=True,
            body_digest=seen.body_digest,
            fingerprint=seen.fingerprint,
            missing=seen.missing,
            final_urls=tuple(response.final_url for response in seen.responses) or standing.final_urls,
            validators={r.url: r.validators for r in seen.responses} or standing.validators,
        )
    )


# --- small facts ---------------------------------------------------------------------------------------------------


def _last_good(standing: Standing, text: str) -> gates.LastGood | None:
    latest = standing.latest
    if latest is None:
        return None
    return gates.LastGood(latest.words, standing.final_urls, latest.language, standing.missing, text)


def _bytes_digest(responses: Sequence[Response], terms: Terms, at: datetime) -> bytes:
    """Of the bytes, where they came from and how they are read: equal means that there is nothing to read anew."""
    whole = hashlib.sha256(_way_of_reading(terms, at))
    for response in responses:
        whole.update(f"\0{response.status} {response.final_url}\0".encode())
        whole.update(hashlib.sha256(response.body).digest())
    return whole.digest()


def _fingerprint(responses: Sequence[Response], terms: Terms, at: datetime, form_name: str | None) -> bytes:
    """Of what is read by a form, known by its name; by that of the date where nothing was read yet."""
    form = terms.form_at(at) if form_name is None else extract.form_named(terms, form_name)
    return hashlib.sha256(_way_of_reading(terms, at) + extract.fingerprint(responses, form)).digest()


def _form_in_use(standing: Standing) -> str | None:
    return standing.latest.form if standing.latest is not None else None


def _traced(seen: _Seen, reading: Reading, terms: Terms, at: datetime) -> _Seen:
    """The traces of an observation that was read by a form: the next look is fingerprinted by that one."""
    fingerprint = _fingerprint(seen.responses, terms, at, reading.form)
    return replace(seen, fingerprint=fingerprint, missing=reading.missing)


def _way_of_reading(terms: Terms, at: datetime) -> bytes:
    return f"{extractor_of(terms)} {terms.form_at(at).valid_until}".encode()


def _status(responses: Sequence[Response]) -> int | None:
    return responses[0].status if responses else None
