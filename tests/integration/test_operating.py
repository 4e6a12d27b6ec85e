"""What an operator decides, on a real archive that real looks have filled."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from local_site import Site, serving
from test_track import CHANGED, CLAUSES, DAY, FEE, HOUR, KEY, MINUTES_10, TRAINING, Market, page

from tosmon.archive import Archive
from tosmon.judge import Rules, load_rules
from tosmon.model import Addressee, AlertKind, ChangeState, NotificationState, Outcome, Severity
from tosmon.track import check, rereading
from tosmon.track.operating import NotPossible, mark_as_noise, moving_parts, release, turning_texts

LEASE = timedelta(minutes=5)


@pytest.fixture(scope="module")
def rules() -> Rules:
    return load_rules()


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as made:
        yield made


class Operated(Market):
    """A market with an operator, and with readers who come and go."""

    def __init__(self, site: Site, folder: Path, rules: Rules) -> None:
        super().__init__(site, folder, rules)
        self.readers = ["ada@example.org", "ben@example.org"]
        self.world = replace(self.world, addressees=lambda alert: [Addressee("email", one) for one in self.readers])
        self.look()

    def send(self) -> None:
        """Deliver all that is due."""
        while (one := self.archive.outbox.claim("email", self.now, LEASE)) is not None:
            self.archive.outbox.settle_sent(one.id, self.now)

    def mails(self, state: NotificationState | None = None) -> list[str]:
        """Whom the mails of the latest alert go to."""
        rows = self.archive.outbox.notifications(state)
        latest = self.alerts[-1].uid
        return sorted(row.recipient for row in rows if row.alert_uid == latest)

    def noise(self, change_id: int) -> bool:
        return mark_as_noise(change_id, {KEY: self.terms}, self.world).done

    def release(self, change_id: int) -> bool:
        return release(change_id, {KEY: self.terms}, self.world).done

    def state(self, change_id: int) -> ChangeState:
        change = self.archive.browse.change(change_id)
        assert change is not None
        return change.state

    @property
    def last(self) -> int:
        return self.archive.browse.changes(told_only=False, limit=1)[0].id


@pytest.fixture
def market(site: Site, tmp_path: Path, rules: Rules) -> Operated:
    return Operated(site, tmp_path, rules)


# --- noise -----------------------------------------------------------------------------------------------------------


def test_a_correction_goes_to_exactly_those_who_were_told(market: Operated) -> None:
    """Whoever subscribed since hears nothing of a change that was none; whoever was told hears that."""
    market.change_to(page(CHANGED))
    market.send()
    market.readers.append("new@example.org")

    assert market.noise(market.last)
    assert market.told == [AlertKind.CHANGE, AlertKind.CORRECTION]
    assert market.mails() == ["ada@example.org", "ben@example.org"]
    assert market.alerts[-1].corrects == market.alerts[0].uid


def test_who_left_since_gets_no_correction(market: Operated) -> None:
    """A correction is no reason to write to people who unsubscribed."""
    market.change_to(page(CHANGED))
    market.send()
    market.readers.remove("ben@example.org")

    market.noise(market.last)
    assert market.mails() == ["ada@example.org"]


def test_a_mail_that_is_not_on_its_way_yet_is_not_sent(market: Operated) -> None:
    """Called noise before the mails went out, an alert reaches nobody's mailbox, nor does a correction."""
    market.change_to(page(CHANGED))

    market.noise(market.last)
    assert market.mails() == []
    assert market.archive.outbox.claim("email", market.now, LEASE) is None
    assert market.archive.outbox.counts() == {"dropped": 2}


def test_calling_it_noise_twice_corrects_once(market: Operated) -> None:
    """The second time nothing is done, and that is said."""
    market.change_to(page(CHANGED))
    market.send()

    assert [market.noise(market.last), market.noise(market.last)] == [True, False]
    assert market.told == [AlertKind.CHANGE, AlertKind.CORRECTION]


def test_noise_masks_the_place_where_it_stood(market: Operated) -> None:
    """The next change of the same clause is kept, and told to nobody; another clause is told of as ever."""
    market.change_to(page(CHANGED))
    market.noise(market.last)
    market.change_to(page((*CLAUSES[:3], FEE.replace("nine", "eleven"), *CLAUSES[4:])))

    assert market.state(market.last) is ChangeState.SUPPRESSED
    market.change_to(page((*CHANGED[:4], CHANGED[4].replace("fourteen", "seven"), CHANGED[5])))
    assert market.state(market.last) is ChangeState.TOLD


def test_a_flagged_sentence_in_a_masked_place_is_told(market: Operated) -> None:
    """No place of a document is deaf to what rules look for."""
    market.change_to(page(CHANGED))
    market.noise(market.last)
    market.change_to(page((*CLAUSES[:3], f"{FEE} {TRAINING}", *CLAUSES[4:])))

    assert market.state(market.last) is ChangeState.TOLD
    assert market.alerts[-1].kind is AlertKind.CHANGE


def test_a_waiting_change_called_noise_is_never_told(market: Operated) -> None:
    """Before the second look nobody was told, so nobody is corrected, and the second look changes nothing."""
    market.show(page(CHANGED))
    market.look()
    assert market.noise(market.last)
    market.look(MINUTES_10)

    assert market.told == []
    assert market.state(market.last) is ChangeState.SUPPRESSED


def test_noise_that_a_check_is_just_confirming_stays_noise(market: Operated) -> None:
    """An operator's word stands, also against a look that began before it."""
    market.show(page(CHANGED))
    market.look()
    market.now += MINUTES_10
    standing = market.claim()
    market.noise(market.last)

    check(standing, market.terms, market.world)
    assert market.told == []
    assert market.state(market.last) is ChangeState.SUPPRESSED


# --- release ---------------------------------------------------------------------------------------------------------


def test_a_change_that_was_held_back_can_be_told(market: Operated) -> None:
    """Released, it goes to everybody, once."""
    market.change_to(page(CHANGED))
    market.noise(market.last)
    market.change_to(page((*CLAUSES[:3], FEE.replace("nine", "eleven"), *CLAUSES[4:])))
    held = market.last

    assert [market.release(held), market.release(held)] == [True, False]
    assert market.told[-1] is AlertKind.CHANGE
    assert market.mails() == ["ada@example.org", "ben@example.org"]


def test_noise_released_is_corrected_again(market: Operated) -> None:
    """Who was told, then told that it was nothing, is told that it was something."""
    market.change_to(page(CHANGED))
    market.send()
    change = market.last
    market.noise(change)
    market.send()

    assert market.release(change)
    assert market.told == [AlertKind.CHANGE, AlertKind.CORRECTION, AlertKind.CORRECTION]
    assert len({alert.uid for alert in market.alerts}) == 3
    assert market.mails() == ["ada@example.org", "ben@example.org"]


def test_released_places_are_told_of_again(market: Operated) -> None:
    """Releasing a change that was called noise takes its mask away."""
    market.change_to(page(CHANGED))
    market.noise(market.last)
    market.release(market.last)
    market.change_to(page((*CLAUSES[:3], FEE.replace("nine", "eleven"), *CLAUSES[4:])))

    assert market.state(market.last) is ChangeState.TOLD


def test_what_waits_cannot_be_released_and_says_why(market: Operated) -> None:
    """An error names the state the change is in and what to do."""
    market.show(page(CHANGED))
    market.look()

    with pytest.raises(NotPossible, match="second look"):
        market.release(market.last)
    with pytest.raises(NotPossible, match="no change 999"):
        market.noise(999)


# --- unconfirmed first -------------------------------------------------------------------------------------------------


@pytest.fixture
def hasty(market: Operated) -> Operated:
    market.world = replace(market.world, unconfirmed_first=frozenset({Severity.HIGH}))
    return market


def test_a_grave_change_goes_first_as_unconfirmed_and_is_confirmed_quietly(hasty: Operated) -> None:
    """People hear of it at first sight; the second look that finds it again adds no mail."""
    hasty.show(page((*CLAUSES, TRAINING)))
    hasty.look()
    assert hasty.told == [AlertKind.UNCONFIRMED]
    assert hasty.state(hasty.last) is ChangeState.PENDING

    hasty.look(MINUTES_10)
    assert hasty.told == [AlertKind.UNCONFIRMED]
    assert hasty.state(hasty.last) is ChangeState.TOLD
    assert hasty.mails() == ["ada@example.org", "ben@example.org"]


def test_what_a_second_look_does_not_find_is_corrected(hasty: Operated) -> None:
    """Who was told at first sight is told that it was not there any more; and nobody else."""
    hasty.show(page((*CLAUSES, TRAINING)))
    hasty.look()
    hasty.send()
    hasty.readers.append("new@example.org")
    hasty.show(page())
    hasty.look(MINUTES_10)

    assert hasty.told == [AlertKind.UNCONFIRMED, AlertKind.CORRECTION]
    assert hasty.mails() == ["ada@example.org", "ben@example.org"]
    assert "Not confirmed" in hasty.alerts[-1].headline


def test_an_unconfirmed_mail_still_in_the_outbox_is_dropped(hasty: Operated) -> None:
    """What was not sent yet when the second look came is not sent at all."""
    hasty.show(page((*CLAUSES, TRAINING)))
    hasty.look()
    hasty.show(page())
    hasty.look(MINUTES_10)

    assert hasty.archive.outbox.claim("email", hasty.now, LEASE) is None


def test_small_changes_wait_for_their_second_look(hasty: Operated) -> None:
    """Only the severities that are configured go first."""
    hasty.show(page(CHANGED))
    hasty.look()

    assert hasty.told == []


# --- parts that change by themselves ---------------------------------------------------------------------------------


def ticking(number: int) -> str:
    said = f"{number * 13} people look at this stall and {number} of them knit."
    ticker = f"</p></div><div class=live><p>{said}</p></div><div><p>"
    return page((*CLAUSES, ticker, *(f"{clause} That holds for guests as well as for others." for clause in CLAUSES)))


def test_a_ticker_is_learnt_and_its_selector_proposed(market: Operated) -> None:
    """After some alerts on one place nobody is told of it any more, and the operator is told what to remove."""
    market.declare("body")
    for number in range(8):
        market.now += DAY
        market.change_to(ticking(number))
    told = len(market.told)
    for number in range(8, 12):
        market.now += DAY
        market.change_to(ticking(number))

    assert len(market.told) == told <= 5
    (moving,) = moving_parts(market.archive, market.world.snapshots)
    assert moving.selector in (".live", "div.live")
    market.archive.operating.show_part(moving.found.id, True)
    market.change_to(ticking(99))
    assert len(market.told) == told + 1


def test_texts_in_turn_are_proposed_as_documents_of_their_own(market: Operated) -> None:
    """A page that comes in two wordings by turns is said to do so, with where each of them came from."""
    for number in range(5):
        market.now += DAY
        market.change_to(page(CHANGED if number % 2 == 0 else CLAUSES))
    (turning,) = turning_texts(market.archive, market.now, [KEY])

    assert turning.by == "region or test"
    assert [(one.turns, one.last.language) for one in turning.variants] == [(3, "en"), (3, "en")]
    assert turning.variants[0].last.urls == (market.terms.url,)


def test_a_page_that_strays_into_another_language_is_proposed_too(market: Operated) -> None:
    """What comes in another language for some hours makes no version, but the operator hears of it."""
    said = "Les vendeurs et vous répondez de la laine que vous vendez dans la rue {}, et nous de la vôtre."
    also = "Ces règles sont pour vous, et nous ne les changeons pas sans votre accord."
    french = [*map(said.format, "abcde"), also]
    for number in range(4):
        market.show(page(french if number % 2 else CLAUSES))
        market.look()
    (turning,) = turning_texts(market.archive, market.now, [KEY])

    assert (turning.by, turning.strays, turning.variants) == ("language", 2, ())
    assert "“fr”" in turning.detail


# --- pausing -----------------------------------------------------------------------------------------------------------


def test_a_paused_document_is_not_due_until_resumed(market: Operated) -> None:
    """An operator's pause outlives a restart, which declares everything anew."""
    operating = market.archive.operating
    assert [operating.pause(KEY, market.now), operating.pause(KEY, market.now)] == [True, False]
    market.now += DAY
    market.archive.declare([market.terms], market.now)
    assert market.archive.claim_due(market.now, LEASE) == []

    assert [operating.resume(KEY, market.now), operating.resume(KEY, market.now)] == [True, False]
    assert [one.key for one in market.archive.claim_due(market.now, LEASE)] == [KEY]


def test_resuming_what_the_configuration_pauses_leaves_it_paused(market: Operated) -> None:
    """What is written in the configuration stays in force."""
    market.archive.operating.pause(KEY, market.now)
    market.archive.operating.resume(KEY, market.now, declared_paused=True)

    assert market.archive.claim_due(market.now + DAY, LEASE) == []


# --- reading history anew ----------------------------------------------------------------------------------------------


def grown(market: Operated) -> None:
    """Some history, then selectors that read a line more."""
    for number in range(7):
        market.now += DAY
        market.change_to(page((*CHANGED[:-1], f"{CHANGED[-1]} This is wording {number}."), frame=f" stall {number}"))
    market.declare("nav", ".terms")


def history(market: Operated) -> list[tuple[object, ...]]:
    rows = market.archive.browse.versions(KEY, newest_first=False)
    texts = ["".join(c.lead + c.text + c.tail for c in market.archive.browse.clauses(row.id)) for row in rows]
    return [(row.at, row.technical, text) for row, text in zip(rows, texts, strict=True)]


def test_history_is_read_anew_and_nobody_is_told(market: Operated) -> None:
    """Each version gets a technical one beside it where the text differs, of the same moment; a second run does nothing."""
    grown(market)
    told, before = market.told, history(market)
    done = rereading.reread(market.terms, market.world)

    after = history(market)
    assert (done.read, done.technical, done.unfit) == (len(before), len(before), 0)
    assert [row for row in after if not row[1]] == before
    assert all(f" stall {n}" in str(row[2]) for n, row in enumerate([row for row in after if row[1]][1:]))
    assert rereading.reread(market.terms, market.world) == rereading.Reread()
    assert market.told == told
    assert market.look() is Outcome.UNCHANGED
    assert market.told == told


def _reread_and_die(market: Operated, folder: Path) -> None:
    """In a process of its own: read some versions anew, and be killed in the midst of it."""
    steps: list[int] = []

    def die(versions: int) -> None:
        steps.append(versions)
        if len(steps) == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    world = replace(market.world, archive=Archive(f"sqlite:///{folder / 'archive.sqlite'}"))
    rereading.reread(market.terms, world, step=die)


def test_reading_anew_can_be_killed_anywhere(
    site: Site, tmp_path: Path, rules: Rules, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the middle and run again, it comes to the same as in one go."""
    monkeypatch.setattr(rereading, "_TOGETHER", 2)
    whole, halved = (Operated(site, tmp_path / name, rules) for name in ("whole", "halved"))
    for market in (whole, halved):
        market.show(page())
        market.look()
        grown(market)
    whole_versions = rereading.left_to_read(whole.terms, whole.world)
    rereading.reread(whole.terms, whole.world)

    child = multiprocessing.get_context("fork").Process(target=_reread_and_die, args=(halved, tmp_path / "halved"))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert rereading.left_to_read(halved.terms, halved.world) == whole_versions - 4
    rereading.reread(halved.terms, halved.world)

    assert history(halved) == history(whole)
    latest = [market.archive.standing(KEY) for market in (whole, halved)]
    assert all(one is not None and one.latest is not None and one.latest.technical for one in latest)


def test_a_document_that_is_being_looked_at_is_left_for_later(market: Operated) -> None:
    """What a look finds builds upon the latest version, so none is slipped in beneath it."""
    grown(market)
    market.claim()

    assert rereading.reread(market.terms, market.world).busy
    market.now += HOUR
    assert not rereading.reread(market.terms, market.world).busy


def test_snapshots_that_are_gone_stay_as_they_are(market: Operated, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version whose page was lost, or cannot be read by today's selectors, keeps its text."""
    grown(market)
    market.declare(".nowhere")
    done = rereading.reread(market.terms, market.world)

    assert done.technical == 0
    assert done.read == market.versions
