"""From findings to profiles: what answers which question, since when, and what is said where documents disagree."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tosmon.judge import load_rules
from tosmon.judge.profile import (
    ASPECTS,
    SILENT,
    UNREAD,
    Basis,
    Gone,
    Held,
    Ledger,
    Point,
    Run,
    Source,
    Turn,
    answer,
    answers,
    cell_of,
    is_promise,
    permission,
    points,
    profiles,
    tone,
    unread_topics,
)
from tosmon.model import Actor, Direction, Finding, Stance, TermsKey

START = datetime(2024, 1, 1, tzinfo=UTC)
TERMS, AI_TERMS = TermsKey("Inkwell", "Terms of Service"), TermsKey("Inkwell", "AI Terms")
PRIVACY = TermsKey("Inkwell", "Privacy Policy")
MAY = Point("training", Stance.MAY)


def finding(
    topic: str, stance: Stance, actor: Actor | None = Actor.PROVIDER, *names: str, objects: str = ""
) -> Finding:
    return Finding(topic, actor, stance, "words", 0, 5, frozenset(names), frozenset(objects.split()))


def turn(number: int) -> Turn:
    return Turn(number, START + timedelta(days=number))


def basis(clause: int, weight: int = 0, place: int = 0) -> Basis:
    return Basis(clause, 0, 0, 5, place, weight)


def held(key: TermsKey, aspect: str, stance: Stance, *, day: int = 0) -> Held:
    return Held(key, aspect, stance, "words", START + timedelta(days=day), 1, True, None, 1, 0)


def source(key: TermsKey, *unread: str) -> Source:
    return Source(key, "Inkwell Studio", 1, START, "en", frozenset(unread))


# --- what a finding answers -------------------------------------------------------------------------------------------


def test_a_licence_answers_for_each_of_its_attributes() -> None:
    """A perpetual and transferable licence is a licence, lasts for ever and can be handed over."""
    licence = finding("content_license", Stance.GRANTS, Actor.PROVIDER, "perpetual", "transferable")

    assert [point.aspect for point in points(licence)] == ["licence", "licence.perpetual", "licence.transferable"]


def test_a_licence_to_feedback_is_none_to_peoples_work() -> None:
    """Nearly all platforms take feedback for ever and unpaid: that says nothing of paintings."""
    licence = finding("content_license", Stance.GRANTS, Actor.PROVIDER, "perpetual", objects="feedback")

    assert points(licence) == (Point("feedback", Stance.GRANTS),)


def test_what_others_may_do_is_told_apart() -> None:
    """Training by partners and a licence for other users are questions of their own."""
    assert points(finding("ai_training", Stance.MAY, Actor.THIRD_PARTY))[0].aspect == "training_others"
    assert points(finding("content_license", Stance.GRANTS, Actor.USER))[0].aspect == "licence_others"


def test_outputs_are_told_apart_from_content() -> None:
    """Who owns what an AI makes is another question than who owns what people upload; one sentence may answer both."""
    about = {
        what: [point.aspect for point in points(finding("content_license", Stance.USER_KEEPS, None, objects=what))]
        for what in ("", "content", "outputs", "inputs outputs")
    }

    assert about == {
        "": ["ownership"],
        "content": ["ownership"],
        "outputs": ["outputs"],
        "inputs outputs": ["ownership", "outputs"],
    }


def test_other_talk_of_ai_is_no_answer() -> None:
    """Disclaimers, features, and the licence to the service are no part of who may use people's work."""
    assert points(finding("ai_other", Stance.MAY)) == ()
    assert points(finding("service_license", Stance.MAY)) == ()


def test_a_topic_of_somebodys_own_is_an_aspect_of_its_own() -> None:
    """Packs that people write are shown in profiles, too."""
    assert points(finding("biometrics", Stance.MAY)) == (Point("biometrics", Stance.MAY),)


def test_a_warranty_is_no_claim_of_ownership() -> None:
    """Where the same words are read as "yours" and as "theirs", the platform is not said to own anything."""
    said = [finding("content_license", Stance.USER_KEEPS), finding("content_license", Stance.PROVIDER_OWNS)]

    assert [point for point, _ in answers(said)] == [Point("ownership", Stance.USER_KEEPS)]


def test_every_stance_on_every_aspect_has_words_and_a_tone() -> None:
    """No cell of the table can be empty by mistake."""
    for aspect in ASPECTS:
        for stance in Stance:
            assert answer(aspect.key, stance) and isinstance(tone(aspect.key, stance), Direction)


def test_what_allows_the_platform_most_comes_first() -> None:
    """Plain permission, then with an opt-out, then with consent, then the promise not to."""
    order = [Stance.MAY, Stance.MAY_UNLESS_OPT_OUT, Stance.ONLY_IF_OPT_IN, Stance.MAY_NOT]

    assert sorted(set(order), key=lambda stance: permission("training", stance)) == order
    assert permission("restriction", Stance.MAY_NOT) < permission("restriction", Stance.MAY)


# --- over time --------------------------------------------------------------------------------------------------------


def test_a_stance_stands_since_it_came_whatever_words_it_rests_on() -> None:
    """A reworded permission is no new one: "since" stays, the words are those that stand."""
    ledger = Ledger()
    ledger.turn({MAY: [basis(1)]}, turn(1))
    ledger.turn({MAY: [basis(2)]}, turn(2))

    old, new = ledger.runs()

    assert (old.basis.clause, old.until) == (1, turn(2))
    assert (new.basis.clause, new.since, new.begun, new.until) == (2, turn(1), turn(2), None)


def test_a_stance_keeps_its_words_as_long_as_they_stand() -> None:
    """A second clause that says the same changes nothing."""
    ledger = Ledger()
    ledger.turn({MAY: [basis(5)]}, turn(1))
    ledger.turn({MAY: [basis(1), basis(5)]}, turn(2))

    assert [run.basis.clause for run in ledger.runs()] == [5]


def test_the_clause_that_says_most_is_quoted() -> None:
    """Of several grants, the one with the most attributes; of equals, the first in the text."""
    ledger = Ledger()
    ledger.turn({MAY: [basis(1, 0, 0), basis(2, 3, 7), basis(3, 3, 5)]}, turn(1))

    assert [run.basis.clause for run in ledger.runs()] == [3]


def test_a_stance_that_went_and_came_back_stands_since_it_came_back() -> None:
    """An honest gap is shown as one."""
    ledger = Ledger()
    for number, said in enumerate(({MAY: [basis(1)]}, {}, {MAY: [basis(1)]}), 1):
        ledger.turn(said, turn(number))

    assert [(run.since, run.until) for run in ledger.runs()] == [(turn(1), turn(2)), (turn(3), None)]


def test_a_version_that_was_no_news_breaks_no_run() -> None:
    """A variant that is served once in turn lacks the sentence: it stands on, unless the next news lacks it, too."""
    ledger = Ledger()
    ledger.turn({MAY: [basis(1)]}, turn(1))
    ledger.turn({}, turn(2), quiet=True)

    assert ledger.runs()[0].until == turn(2)  # as far as is known

    ledger.turn({MAY: [basis(1)]}, turn(3))
    assert [(run.since, run.until) for run in ledger.runs()] == [(turn(1), None)]

    ledger.turn({}, turn(4), quiet=True)
    ledger.turn({}, turn(5))
    assert [(run.since, run.until) for run in ledger.runs()] == [(turn(1), turn(4))]


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0, 1, 2, 3])), max_size=12))
def test_runs_of_a_stance_never_overlap(versions: list[tuple[bool, int]]) -> None:
    """Whatever comes and goes: at any time a document takes a stance in one set of words, or not at all."""
    ledger = Ledger()
    for number, (quiet, clause) in enumerate(versions, 1):
        ledger.turn({MAY: [basis(clause)]} if clause else {}, turn(number), quiet=quiet)

    runs = sorted(ledger.runs(), key=lambda run: run.begun.version)
    assert all(one.until is not None and one.until.version <= two.begun.version for one, two in pairwise(runs))
    assert all(run.since.version <= run.begun.version for run in runs)
    if versions and versions[-1][1]:
        assert runs[-1].until is None


# --- a service --------------------------------------------------------------------------------------------------------


def test_documents_that_disagree_are_both_shown() -> None:
    """What allows most stands first, the other beside it; a stance that two documents share is the older one's first."""
    [profile] = profiles(
        [source(TERMS), source(AI_TERMS)],
        [
            held(AI_TERMS, "training", Stance.MAY_NOT),
            held(TERMS, "training", Stance.MAY, day=9),
            held(PRIVACY, "training", Stance.MAY, day=3),
        ],
    )
    cell = profile.cell("training")

    assert (cell.answer, cell.also, cell.tone) == ("Yes", ("No",), Direction.WORSE)
    assert [one.key for one in cell.held] == [PRIVACY, TERMS, AI_TERMS]


def test_an_opt_out_holds_for_the_whole_document() -> None:
    """One document comes to one answer; only documents contradict each other, and all words stay beside."""
    opt_out, may = held(TERMS, "training", Stance.MAY_UNLESS_OPT_OUT, day=9), held(TERMS, "training", Stance.MAY)
    one = cell_of("training", [may, opt_out])
    two = cell_of("training", [may, opt_out, held(AI_TERMS, "training", Stance.MAY)])

    assert (one.answer, one.also, one.tone) == ("Yes, unless you opt out", (), Direction.MIXED)
    assert one.held == (opt_out, may) and one.several
    assert (two.answer, two.also) == ("Yes", ("Yes, unless you opt out",))


def test_what_is_announced_says_from_when() -> None:
    """A stance of the text that applies later is no plain answer yet."""
    ahead = replace(held(TERMS, "training", Stance.MAY), starts=date(2026, 12, 3))

    assert cell_of("training", [ahead]).answer == "Yes, from 3 December 2026 (announced 1 January 2024)"


def test_a_dropped_promise_is_no_mere_silence() -> None:
    """It says what was promised and until when; of plain permissions nobody is told."""
    [profile] = profiles([source(TERMS)], [])
    gone = Gone(TERMS, "training", Stance.MAY_NOT, START + timedelta(days=9), 2, 7)

    assert replace(profile, gone={"training": gone}).cell("training").answer == (
        "Says nothing (promised No until 10 January 2024)"
    )
    assert is_promise("training", Stance.MAY_NOT) and not is_promise("training", Stance.MAY)
    assert not is_promise("restriction", Stance.MAY_NOT)


def test_silence_is_told_from_what_is_not_read() -> None:
    """A text in a language without rules on a topic says nothing that we could know of; one readable document suffices."""
    [unread] = profiles([source(TERMS, "ai_restriction")], [])
    [read] = profiles([source(TERMS, "ai_restriction"), source(AI_TERMS)], [])

    assert (unread.cell("restriction").answer, unread.cell("training").answer) == (UNREAD, SILENT)
    assert read.cell("restriction").answer == SILENT


def test_a_language_without_rules_is_unread() -> None:
    """All topics of a language that no pack reads; none of English; nothing is said of a language nobody guessed."""
    rules = load_rules()

    assert "ai_training" in unread_topics("pl", rules)
    assert unread_topics("en", rules) == unread_topics("en-GB", rules) == frozenset()
    assert unread_topics(None, rules) == frozenset()


@pytest.mark.parametrize("stance", [Stance.MAY, Stance.ONLY_IF_OPT_IN])
def test_a_run_names_its_point(stance: Stance) -> None:
    """A run is known by what it says."""
    ledger = Ledger()
    ledger.turn({Point("training", stance): [basis(1)]}, turn(1))

    assert ledger.runs() == [Run("training", stance, turn(1), turn(1), basis(1))]
