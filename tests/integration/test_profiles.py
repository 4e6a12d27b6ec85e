"""Profiles and judging again, on a real archive: what stands since when, at any day, and what a new rule brings out."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import profile_story as story
import pytest
from profile_story import FACES, HEAD, KEEP, LICENCE, NARROW, NEVER, OPT_OUT, SEATS, START, TRAINS

from tosmon.archive import Archive
from tosmon.archive.findings import Outcome
from tosmon.archive.studying import rules_digest
from tosmon.judge import Rules, load_rules
from tosmon.judge.profile import Profile
from tosmon.model import ChangeState, Direction, Severity, Stance, TermsKey
from tosmon.track.rejudging import rejudge

TERMS = TermsKey("Inkwell", "Terms of Service")
AI_TERMS = TermsKey("Inkwell", "AI Terms")
OTHER = TermsKey("Tonspur", "Terms of Service")


@pytest.fixture(scope="module")
def rules() -> Rules:
    return load_rules()


@pytest.fixture(scope="module")
def more_rules(tmp_path_factory: pytest.TempPathFactory) -> Rules:
    """Ours, and a pack of somebody's own on another topic."""
    pack = tmp_path_factory.mktemp("rules") / "faces.yaml"
    pack.write_text(story.FACES_PACK, encoding="utf-8")
    return load_rules([pack])


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    made = Archive(f"sqlite:///{tmp_path}/archive.sqlite")
    story.declare(made, TERMS, AI_TERMS, OTHER)
    yield made
    made.close()


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def profile(archive: Archive, at: datetime | None = None, service: str = "Inkwell") -> Profile:
    [found] = archive.findings.profiles(service=service, at=at)
    return found


# --- profiles ---------------------------------------------------------------------------------------------------------


def test_a_profile_quotes_the_text_in_force_and_tells_since_when(archive: Archive, rules: Rules) -> None:
    """The exact words, their headings, the day they came, and the change that brought them."""
    changes = story.history(archive, TERMS, [HEAD + KEEP, HEAD + KEEP + TRAINS], rules)
    archive.findings.refresh(rules, story.NOW)

    [trains] = profile(archive).cell("training").held
    [keeps] = profile(archive).cell("ownership").held

    assert trains.quote == TRAINS.strip() and trains.headings == ("Terms", "Your content")
    assert (trains.since, trains.change_id, trains.from_first) == (day(10), changes[0], False)
    assert (keeps.since, keeps.change_id, keeps.from_first) == (day(0), None, True)


def test_every_quote_stands_in_the_version_it_names(archive: Archive, rules: Rules) -> None:
    """A quote that is no exact part of a stored clause would be a bug."""
    texts = [HEAD + KEEP + NARROW, HEAD + KEEP + LICENCE + NEVER, HEAD + LICENCE + TRAINS + OPT_OUT]
    story.history(archive, TERMS, texts, rules)
    archive.findings.refresh(rules, story.NOW)

    for moment in (None, day(5), day(15)):
        for cell in profile(archive, moment).cells.values():
            for one in cell.held:
                assert one.quote and one.quote in archive.browse.clauses(one.version_id)[one.clause].text


def test_a_profile_of_a_past_day_is_that_of_its_text(archive: Archive, rules: Rules) -> None:
    """Before the change the promise, after it the permission, and nothing before the first text."""
    story.history(archive, TERMS, [HEAD + NEVER, HEAD + TRAINS], rules)
    archive.findings.refresh(rules, story.NOW)

    assert profile(archive, day(9)).cell("training").answer == "No"
    assert profile(archive, day(10)).cell("training").answer == "Yes"
    assert archive.findings.profiles(at=day(-1)) == []


def test_a_quote_bears_its_own_date(archive: Archive, rules: Rules) -> None:
    """The licence is old, these words of it are new: both days are known, with the change that brought the words."""
    changes = story.history(archive, TERMS, [HEAD + NARROW, HEAD + LICENCE], rules)
    archive.findings.refresh(rules, story.NOW)
    [licence] = profile(archive).cell("licence").held

    assert (licence.since, licence.begun, licence.begun_change_id) == (day(0), day(10), changes[0])
    assert profile(archive).cell("licence.perpetual").held[0].begun is None


def test_what_applies_later_is_only_announced(archive: Archive, rules: Rules) -> None:
    """The text names the day; from that day on it is a plain answer, and so it is for whoever asks for no day."""
    told = HEAD + "This version applies from 1 March 2024.\n\n" + TRAINS
    story.history(archive, TERMS, [HEAD, told], rules)
    archive.findings.refresh(rules, story.NOW)

    def said(today: date) -> str:
        [found] = archive.findings.profiles(service="Inkwell", today=today)
        return found.cell("training").answer

    assert said(date(2024, 2, 29)) == "Yes, from 1 March 2024 (announced 11 January 2024)"
    assert profile(archive, day(12)).cell("training").answer == said(date(2024, 2, 29))
    assert said(date(2024, 3, 1)) == "Yes" == profile(archive).cell("training").answer


def test_a_promise_that_was_dropped_is_remembered(archive: Archive, rules: Rules) -> None:
    """Not as long as it stands, nor when something else is said instead."""
    changes = story.history(archive, TERMS, [HEAD + NEVER, HEAD + KEEP, HEAD + TRAINS], rules)
    archive.findings.refresh(rules, story.NOW)
    dropped = profile(archive, day(15)).cell("training")

    assert dropped.answer == "Says nothing (promised No until 11 January 2024)"
    assert dropped.gone is not None and dropped.gone.change_id == changes[0]
    assert profile(archive, day(5)).cell("training").answer == "No"
    assert profile(archive).cell("training").answer == "Yes"
    [table] = [one for one in archive.findings.table(day(15), frozenset({"training"})) if one.service == "Inkwell"]
    assert table.cell("training").answer == dropped.answer


def test_attributes_of_the_licence_each_stand_since_their_own_day(archive: Archive, rules: Rules) -> None:
    """The licence is old, that it lasts for ever is new."""
    story.history(archive, TERMS, [HEAD + NARROW, HEAD + LICENCE], rules)
    archive.findings.refresh(rules, story.NOW)
    found = profile(archive)

    assert found.cell("licence").held[0].since == found.cell("licence.worldwide").held[0].since == day(0)
    assert found.cell("licence.perpetual").held[0].since == day(10)
    assert "licence.nonexclusive" not in found.cells


def test_documents_of_a_service_that_contradict_each_other_are_both_quoted(archive: Archive, rules: Rules) -> None:
    """The terms say one thing, the AI terms another."""
    story.record(archive, TERMS, HEAD + NEVER, 0, rules)
    story.record(archive, AI_TERMS, HEAD + TRAINS, 1, rules)
    archive.findings.refresh(rules, story.NOW)

    cell = profile(archive).cell("training")

    assert (cell.answer, cell.also) == ("Yes", ("No",))
    assert [(one.key, one.quote) for one in cell.held] == [(AI_TERMS, TRAINS.strip()), (TERMS, NEVER.strip())]


def test_an_item_is_read_with_what_introduces_its_list(archive: Archive, rules: Rules) -> None:
    """The same words under another introduction are another finding, and each is kept for itself."""
    item = "- train artificial intelligence models with it\n"
    story.record(archive, TERMS, HEAD + "We may use your content to:\n\n- show it\n" + item, 0, rules)
    story.record(archive, OTHER, HEAD + "With our content you may not:\n\n- copy it\n" + item, 0, rules)
    archive.findings.refresh(rules, story.NOW)

    assert profile(archive).cell("training").answer == "Yes"
    assert "training" not in profile(archive, service="Tonspur").cells


def test_a_text_that_came_and_went_unconfirmed_breaks_nothing(archive: Archive, rules: Rules) -> None:
    """Somebody's variant without the sentence was seen once: the sentence stands since it stands."""
    story.record(archive, TERMS, HEAD + TRAINS, 0, rules)
    story.record(archive, TERMS, HEAD, 10, rules, state=ChangeState.GONE)
    story.record(archive, TERMS, HEAD + TRAINS + SEATS, 11, rules)
    archive.findings.refresh(rules, story.NOW)

    assert profile(archive).cell("training").held[0].since == day(0)


def test_an_unread_language_is_said(archive: Archive, rules: Rules) -> None:
    """Silence of a Polish text is no silence."""
    story.record(archive, OTHER, "# Regulamin\n\nUżytkownik zachowuje prawa do swoich prac.", 0, rules, language="pl")
    archive.findings.refresh(rules, story.NOW)

    assert profile(archive, service="Tonspur").cell("training").answer == "Not read"


def test_writing_up_step_by_step_comes_to_the_same_as_all_at_once(tmp_path: Path, rules: Rules) -> None:
    """Whatever comes, goes and comes back, whether profiles are brought up after each version or once at the end."""
    chance = random.Random(7)
    parts = [KEEP, LICENCE, NARROW, NEVER, TRAINS, OPT_OUT, SEATS]
    versions = [
        (
            HEAD + "".join(chance.sample(parts, chance.randrange(len(parts)))),
            chance.choice(
                [ChangeState.TOLD, ChangeState.TOLD, ChangeState.SUPPRESSED, ChangeState.GONE, ChangeState.PENDING]
            ),
        )
        for _ in range(14)
    ]
    archives = [Archive(f"sqlite:///{tmp_path}/{name}.sqlite") for name in ("each", "once")]
    for made, each in zip(archives, (True, False), strict=True):
        story.declare(made, TERMS)
        for number, (text, state) in enumerate(versions):
            story.record(made, TERMS, text, number, rules, state=state)
            if each:
                made.findings.refresh(rules, story.NOW)
        made.findings.refresh(rules, story.NOW)

    moments = [None, *(day(number) for number in range(14))]
    tables = [[profile_words(made, moment) for moment in moments] for made in archives]
    for made in archives:
        made.close()

    assert sum(map(len, tables[0])) > 20
    assert tables[0] == tables[1]


def profile_words(archive: Archive, at: datetime | None) -> list[tuple[str, Stance, str, datetime]]:
    cells = profile(archive, at).cells.values()
    return sorted((one.aspect, one.stance, one.quote, one.since) for cell in cells for one in cell.held)


def test_a_table_is_made_again_when_something_came(archive: Archive, rules: Rules) -> None:
    """What is kept of a table never outlives the texts it was made of."""
    story.record(archive, TERMS, HEAD + NEVER, 0, rules)
    archive.findings.refresh(rules, story.NOW)
    first = archive.findings.table()
    assert archive.findings.table() is first

    story.record(archive, TERMS, HEAD + TRAINS, 1, rules)
    archive.findings.refresh(rules, story.NOW)

    assert [one.cell("training").answer for one in archive.findings.table()] == ["Yes"]
    assert [one.cell("training").answer for one in first] == ["No"]


def test_findings_of_a_version_are_kept_once_for_all_versions(archive: Archive, rules: Rules) -> None:
    """Twenty versions that hold a sentence hold one finding, and each version has it."""
    texts = [HEAD + TRAINS + f"A subscription costs {number + 20} crowns.\n" for number in range(20)]
    story.history(archive, TERMS, texts, rules)
    archive.findings.refresh(rules, story.NOW)
    [first, *_, last] = archive.browse.versions(TERMS)

    for version in (first, last):
        [(place, finding)] = archive.findings.findings_of(version.id)
        assert archive.browse.clauses(version.id)[place].text[finding.start : finding.end] == finding.quote


# --- judging again ----------------------------------------------------------------------------------------------------


def test_a_new_rule_finds_later_what_was_missed(archive: Archive, rules: Rules, more_rules: Rules) -> None:
    """The change is flagged and listed; what people were told stays as it was told, and nobody is alerted."""
    texts = [HEAD, HEAD + FACES, HEAD + FACES + TRAINS]
    missed, told = story.history(archive, TERMS, texts, rules)
    archive.findings.refresh(rules, story.NOW, judged=True)
    alerts_before = [archive.browse.alerts_of(change_id) for change_id in (missed, told)]

    came = rejudge(archive, more_rules, story.NOW)

    assert [(one.change.id, one.outcome) for one in came.rejudged] == [(missed, Outcome.FOUND_LATER)]
    changed = archive.browse.change(missed)
    assert changed is not None and [flag.topic for flag in changed.flags] == ["biometrics"]
    assert "biometrics" in changed.headline.casefold() or changed.headline != alerts_before[0][0].headline
    assert changed.state is ChangeState.TOLD
    assert [archive.browse.alerts_of(change_id) for change_id in (missed, told)] == alerts_before
    assert alerts_before[0][0].flags == ()


def test_what_is_found_later_is_listed_with_what_it_was(archive: Archive, rules: Rules, more_rules: Rules) -> None:
    """When it was found, and how the change stood before."""
    [missed] = story.history(archive, TERMS, [HEAD, HEAD + FACES], rules)
    before = archive.browse.change(missed)
    archive.findings.refresh(rules, story.NOW, judged=True)
    rejudge(archive, more_rules, story.NOW)

    [row] = archive.findings.rejudged()

    assert before is not None and row.headline_before == before.headline
    assert (row.change_id, row.outcome, row.at) == (missed, Outcome.FOUND_LATER, story.NOW)
    assert (row.flags_before, row.severity_before) == ((), Severity.LOW)
    assert archive.findings.rejudged(service="Tonspur") == []


def test_a_rule_that_goes_takes_its_flags_with_it(archive: Archive, rules: Rules, more_rules: Rules) -> None:
    """Judged back and forth, a change is as it was; both turns are on record."""
    [change] = story.history(archive, TERMS, [HEAD, HEAD + FACES], rules)
    archive.findings.refresh(rules, story.NOW, judged=True)
    as_told = archive.browse.change(change)
    rejudge(archive, more_rules, story.NOW)

    came = rejudge(archive, rules, story.NOW + timedelta(days=1))

    assert [one.outcome for one in came.rejudged] == [Outcome.NO_LONGER]
    assert archive.browse.change(change) == as_told
    assert [row.outcome for row in archive.findings.rejudged()] == [Outcome.NO_LONGER, Outcome.FOUND_LATER]


def test_judging_again_costs_what_is_said_otherwise(archive: Archive, rules: Rules, more_rules: Rules) -> None:
    """Of forty changes, the one whose sentence the new rule reads is compared again, and no other."""
    texts = [HEAD + (TRAINS if number % 2 else NEVER) + f"A tube costs {number + 20} crowns.\n" for number in range(39)]
    story.history(archive, TERMS, [*texts, texts[-1] + FACES], rules)
    archive.findings.refresh(rules, story.NOW, judged=True)

    came = rejudge(archive, more_rules, story.NOW)

    assert (came.documents, came.changes, len(came.rejudged)) == (1, 1, 1)


def test_judging_again_by_the_same_rules_does_nothing(archive: Archive, rules: Rules) -> None:
    """Called twice it finds nothing to do, and a document that came meanwhile is taken in."""
    story.history(archive, TERMS, [HEAD, HEAD + TRAINS], rules)
    assert rejudge(archive, rules, story.NOW).documents == 1

    assert rejudge(archive, rules, story.NOW).documents == 0

    story.history(archive, OTHER, [HEAD], rules)
    assert rejudge(archive, rules, story.NOW).documents == 1


def test_changes_older_than_the_findings_are_judged_once(archive: Archive, rules: Rules) -> None:
    """Of an archive that never kept findings nobody knows by which rules its changes were judged: they are looked at."""
    [change] = story.history(archive, TERMS, [HEAD, HEAD + TRAINS], rules)

    came = rejudge(archive, rules, story.NOW)

    assert (came.changes, came.rejudged) == (1, ())
    recorded = archive.browse.change(change)
    assert recorded is not None and [flag.direction for flag in recorded.flags] == [Direction.WORSE]


def test_judging_again_can_be_stopped_and_goes_on(archive: Archive, rules: Rules, more_rules: Rules) -> None:
    """A document is done or not begun; the next call does the rest, and the end is the same."""
    story.history(archive, TERMS, [HEAD, HEAD + FACES], rules)
    story.history(archive, OTHER, [HEAD, HEAD + FACES], rules)
    archive.findings.refresh(rules, story.NOW, judged=True)
    seen: list[int] = []

    def step(done: int, total: int) -> None:
        seen.append(done)

    stopped = rejudge(archive, more_rules, story.NOW, stop=lambda: len(seen) == 1, step=step)
    rest = rejudge(archive, more_rules, story.NOW)

    assert (stopped.documents, stopped.left, rest.documents, rest.left) == (1, 1, 1, 0)
    assert [one.change.key for one in (*stopped.rejudged, *rest.rejudged)] == [TERMS, OTHER]


def test_one_service_can_be_judged_alone(archive: Archive, rules: Rules, more_rules: Rules) -> None:
    """The others keep the findings of the rules they were judged by."""
    story.history(archive, TERMS, [HEAD, HEAD + FACES], rules)
    story.history(archive, OTHER, [HEAD, HEAD + FACES], rules)
    archive.findings.refresh(rules, story.NOW, judged=True)

    came = rejudge(archive, more_rules, story.NOW, service="Tonspur")

    assert [one.change.key for one in came.rejudged] == [OTHER]
    assert "biometrics" not in profile(archive).cells
    assert "biometrics" in profile(archive, service="Tonspur").cells


def test_what_nobody_was_told_of_is_not_judged_again(archive: Archive, rules: Rules, more_rules: Rules) -> None:
    """A change that was held back as noise stays what it is."""
    story.record(archive, TERMS, HEAD, 0, rules)
    story.record(archive, TERMS, HEAD + FACES, 1, rules, state=ChangeState.SUPPRESSED)
    archive.findings.refresh(rules, story.NOW, judged=True)

    assert rejudge(archive, more_rules, story.NOW).rejudged == ()


def test_how_much_was_read_by_other_rules_is_known(archive: Archive, rules: Rules, more_rules: Rules) -> None:
    """Whoever starts tosmon after the rules changed is told how many documents wait to be judged again."""
    story.history(archive, TERMS, [HEAD, HEAD + FACES], rules)
    archive.findings.refresh(rules, story.NOW, judged=True)
    assert (archive.findings.outdated(rules), archive.findings.outdated(more_rules)) == (0, 1)

    rejudge(archive, more_rules, story.NOW)

    assert archive.findings.outdated(more_rules) == 0


def test_rules_are_known_by_what_they_say(rules: Rules, more_rules: Rules, tmp_path: Path) -> None:
    """The same packs loaded anew are the same rules, wherever their files lie; one more pattern makes others."""
    pack = tmp_path / "elsewhere.yaml"
    pack.write_text(story.FACES_PACK, encoding="utf-8")
    other = tmp_path / "other.yaml"
    other.write_text(story.FACES_PACK.replace("scan", "scans?"), encoding="utf-8")

    assert rules_digest(load_rules([pack])) == rules_digest(more_rules)
    assert len({rules_digest(rules), rules_digest(more_rules), rules_digest(load_rules([other]))}) == 3
