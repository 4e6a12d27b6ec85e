"""Who may do what with people's work today: the findings of the texts in force, put together to profiles.

A finding is one clause's word; a profile answers the questions that people ask of a platform ("may it train AI on my
work?") with stances, each with its words and the time since when it stands. Where a platform's documents say several
things, all of them are shown, what allows the platform most first. Silence is an answer too, and not the same as a
text in a language that no rule reads. Pure: knows nothing of storage; clauses and versions are known by their ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from tosmon.judge.rules import Rules
from tosmon.model import Actor, Direction, Finding, Stance, TermsKey

LICENCE = "licence."
"""What the keys of the licence's attributes begin with: `licence.perpetual`."""

_TOLD_NOWHERE = frozenset({"ai_other", "service_license"})


@dataclass(frozen=True, slots=True)
class Aspect:
    """One question that a profile answers. `name` heads a column, `tone` is how a plain yes goes for people."""

    key: str
    name: str
    question: str
    topic: str
    tone: Direction = Direction.NEUTRAL

    @property
    def is_attribute(self) -> bool:
        return self.key.startswith(LICENCE)


_MAIN = (
    Aspect("training", "Trains AI", "May it train AI on your work or data?", "ai_training"),
    Aspect("training_others", "Others train AI", "May partners and others train AI on it?", "ai_training"),
    Aspect("ownership", "Whose is it", "Whose is what you put there?", "content_license"),
    Aspect("outputs", "Whose output", "Whose is what its AI makes for you?", "content_license"),
    Aspect("licence", "Takes a licence", "Does it take a licence to your content?", "content_license"),
    Aspect("licence_others", "Lets others use it", "May others use your content too?", "content_license"),
    Aspect("limits", "Limits itself", "Does it limit what it does with your content?", "content_license"),
    Aspect("feedback", "Your feedback", "What does it take of your feedback?", "content_license"),
    Aspect("restriction", "Your use of AI", "What may you not do with AI there?", "ai_restriction"),
)
# What weighs most on people first: for ever, for anything, for anyone, for nothing.
_ATTRIBUTES = (
    ("perpetual", "For ever", "Does the licence last for ever?", Direction.WORSE),
    ("irrevocable", "No way back", "Can you not take the licence back?", Direction.WORSE),
    ("survives_termination", "Outlasts deletion", "Does it last after you delete your content or leave?", Direction.WORSE),
    ("any_purpose", "Any purpose", "For any purpose?", Direction.WORSE),
    ("commercial_use", "To make money", "For commercial use?", Direction.WORSE),
    ("derivative_works", "May alter it", "May your content be adapted and altered?", Direction.WORSE),
    ("sublicensable", "Can pass it on", "May the licence be passed on to others?", Direction.WORSE),
    ("transferable", "Can hand it over", "May the licence be handed over to another?", Direction.WORSE),
    ("royalty_free", "Unpaid", "Is it unpaid?", Direction.WORSE),
    ("moral_rights_waived", "Moral rights waived", "Do you give up moral rights (your name on it)?", Direction.WORSE),
    ("likeness", "Name and likeness", "Does it cover your name, voice or likeness?", Direction.WORSE),
    ("promotion", "For its advertising", "May it be used to promote the service?", Direction.WORSE),
    ("assignment", "Rights assigned", "Do you hand over the rights themselves?", Direction.WORSE),
    ("exclusive", "Exclusive", "May nobody else have it, not even you?", Direction.WORSE),
    ("public_display", "Public display", "May it be shown in public?", Direction.NEUTRAL),
    ("worldwide", "Worldwide", "Everywhere in the world?", Direction.NEUTRAL),
    ("nonexclusive", "Non-exclusive", "May you still license your content to others?", Direction.BETTER),
)  # fmt: skip
ASPECTS: tuple[Aspect, ...] = (
    *_MAIN,
    *(Aspect(LICENCE + key, name, question, "content_license", tone) for key, name, question, tone in _ATTRIBUTES),
)
"""The questions of every profile, in the order in which people are shown them."""

BY_KEY: Mapping[str, Aspect] = {aspect.key: aspect for aspect in ASPECTS}


def aspect_named(key: str) -> Aspect:
    """The aspect of a key; that of a topic of somebody's own pack bears the topic's name."""
    return BY_KEY.get(key) or Aspect(key, key.replace("_", " ").capitalize(), key.replace("_", " ").capitalize(), key)


# --- from a finding to what it answers --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """What a finding answers: a stance on an aspect."""

    aspect: str
    stance: Stance


def points(finding: Finding) -> tuple[Point, ...]:
    """What a finding answers; empty where no profile asks. A licence to feedback alone is none to people's work."""
    stance = finding.stance
    if stance is None or finding.topic in _TOLD_NOWHERE:
        return ()
    if finding.topic == "ai_training":
        return (Point("training_others" if finding.actor is Actor.THIRD_PARTY else "training", stance),)
    if finding.topic == "ai_restriction":
        return (Point("restriction", stance),)
    if finding.topic != "content_license":
        return (Point(finding.topic, stance),)
    if finding.objects == {"feedback"}:
        return (Point("feedback", stance),) if stance in (Stance.GRANTS, Stance.PROVIDER_OWNS) else ()
    if stance is Stance.GRANTS:
        if finding.actor in (Actor.THIRD_PARTY, Actor.USER):
            return (Point("licence_others", stance),)
        return (Point("licence", stance), *(Point(LICENCE + name, stance) for name in sorted(finding.attributes)))
    if stance is Stance.LIMITS:
        return (Point("limits", stance),)
    about_outputs = "outputs" in finding.objects
    about_content = not about_outputs or not finding.objects.isdisjoint({"content", "inputs"})
    return (
        *((Point("ownership", stance),) if about_content else ()),
        *((Point("outputs", stance),) if about_outputs else ()),
    )


def answers(said: Sequence[Finding]) -> list[tuple[Point, Finding]]:
    """What one clause answers. A sentence that gives people's content to both sides ("you warrant that all you submit
    belongs to you, …") is no claim of the platform's."""
    kept = {(one.start, one.end) for one in said if one.stance is Stance.USER_KEEPS}
    return [
        (point, finding)
        for finding in said
        if not (finding.stance is Stance.PROVIDER_OWNS and (finding.start, finding.end) in kept)
        for point in points(finding)
    ]


# What allows the platform most, first. A stance that is not named here comes after them.
_MOST_FIRST = (
    Stance.MAY,
    Stance.PROVIDER_OWNS,
    Stance.GRANTS,
    Stance.MAY_UNLESS_OPT_OUT,
    Stance.ONLY_IF_OPT_IN,
    Stance.LIMITS,
    Stance.USER_KEEPS,
    Stance.MAY_NOT,
)


def permission(aspect: str, stance: Stance) -> int:
    """Where a stance stands among those on one aspect: the smaller, the more it allows the platform.

    What users may not do counts the other way round: there the ban comes first.
    """
    rank = _MOST_FIRST.index(stance)
    return -rank if aspect == "restriction" else rank


_ANSWERS = {
    Stance.MAY: "Yes",
    Stance.MAY_UNLESS_OPT_OUT: "Yes, unless you opt out",
    Stance.ONLY_IF_OPT_IN: "Only if you agree",
    Stance.MAY_NOT: "No",
    Stance.GRANTS: "Yes",
    Stance.USER_KEEPS: "Yours",
    Stance.LIMITS: "Yes",
    Stance.PROVIDER_OWNS: "Theirs",
}
_ANSWERS_ON = {
    ("restriction", Stance.MAY_NOT): "Limited",
    ("restriction", Stance.MAY): "Some allowed",
    ("feedback", Stance.GRANTS): "A licence",
    ("feedback", Stance.PROVIDER_OWNS): "All of it",
}
SILENT, UNREAD = "Says nothing", "Not read"
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def answer(aspect: str, stance: Stance) -> str:
    """The stance as an answer to the aspect's question, in a word or two."""
    return _ANSWERS_ON.get((aspect, stance)) or _ANSWERS[stance]


def _day(at: date) -> str:
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}"


_TONES = {
    Stance.MAY: Direction.WORSE,
    Stance.MAY_UNLESS_OPT_OUT: Direction.MIXED,
    Stance.ONLY_IF_OPT_IN: Direction.BETTER,
    Stance.MAY_NOT: Direction.BETTER,
    Stance.USER_KEEPS: Direction.BETTER,
    Stance.LIMITS: Direction.BETTER,
    Stance.PROVIDER_OWNS: Direction.WORSE,
}


def tone(aspect: str, stance: Stance) -> Direction:
    """How a stance goes for the people whose work it is."""
    if aspect == "restriction":
        return Direction.NEUTRAL
    if stance is Stance.GRANTS:
        return aspect_named(aspect).tone
    return _TONES[stance]


# --- a document over time ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Turn:
    """A version of a document, and when it was first seen."""

    version: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Basis:
    """The words that a stance rests on: a clause and the one that introduces its list (0: none), by the archive's ids;
    `place` is the clause's position in the version, `weight` how much the finding says."""

    clause: int
    stem: int
    start: int
    end: int
    place: int = 0
    weight: int = 0
    objects: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[int, int, int, int]:
        return self.clause, self.stem, self.start, self.end


@dataclass(frozen=True, slots=True)
class Run:
    """A stance of a document over time, as long as it rests on the same words.

    `since` is when the stance began to stand without a break, in whatever words; `begun` when it came to rest on these;
    `until` the version that ended it, `None` while it stands.
    """

    aspect: str
    stance: Stance
    since: Turn
    begun: Turn
    basis: Basis
    until: Turn | None = None
    doubted: Turn | None = None


@dataclass(slots=True)
class Ledger:
    """Stances of one document, version by version in the order of time.

    A version that was no news (a variant that platforms serve in turn, a text that was taken back at once) breaks no run:
    what it lacks is in doubt until the next version that was news.
    """

    standing: dict[Point, Run] = field(default_factory=dict)
    ended: list[Run] = field(default_factory=list)

    def turn(self, said: Mapping[Point, Sequence[Basis]], now: Turn, *, quiet: bool = False) -> None:
        for point, bases in said.items():
            self._go_on(point, bases, now)
        for point in self.standing.keys() - said.keys():
            run = self.standing[point]
            if quiet:
                self.standing[point] = replace(run, doubted=run.doubted or now)
            else:
                self.ended.append(replace(self.standing.pop(point), until=run.doubted or now, doubted=None))

    def _go_on(self, point: Point, bases: Sequence[Basis], now: Turn) -> None:
        run = self.standing.get(point)
        if run is None:
            self.standing[point] = Run(point.aspect, point.stance, now, now, _telling(bases))
        elif run.basis.words in {basis.words for basis in bases}:
            self.standing[point] = replace(run, doubted=None) if run.doubted else run
        else:
            self.ended.append(replace(run, until=now, doubted=None))
            self.standing[point] = Run(point.aspect, point.stance, run.since, now, _telling(bases))

    def runs(self) -> list[Run]:
        """Every run, those in doubt ended where the doubt began."""
        open_ = [
            replace(run, until=run.doubted, doubted=None) if run.doubted else run for run in self.standing.values()
        ]
        return [*self.ended, *open_]


def _telling(bases: Sequence[Basis]) -> Basis:
    """Of several clauses that say it, the one that says most; of equals the first."""
    return min(bases, key=lambda basis: (-basis.weight, basis.place))


# --- profiles ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Held:
    """A stance that one document takes at a time, in its words.

    `since` is when it began to stand without a break; `from_first` tells that this was the first text we hold, so that
    it may be older. `change_id` is the change that brought it, if it is recorded; `version_id` and `clause` (from 0) are
    where the quote stands since it does, under `headings`. `id` is the archive's. `begun` is when it came to rest on these
    words, if that was later, and `begun_change_id` what brought them; `starts` a day ahead from which it is to apply.
    """

    key: TermsKey
    aspect: str
    stance: Stance
    quote: str
    since: datetime
    since_version_id: int
    from_first: bool
    change_id: int | None
    version_id: int
    clause: int
    headings: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    id: int = 0
    begun: datetime | None = None
    begun_change_id: int | None = None
    starts: date | None = None

    @property
    def answer(self) -> str:
        """In a word or two, and from when, if that lies ahead."""
        said = answer(self.aspect, self.stance)
        return f"{said}, from {_day(self.starts)} (announced {_day(self.since)})" if self.starts else said


@dataclass(frozen=True, slots=True)
class Gone:
    """What a service promised until a document dropped it, and says nothing of now. `change_id` is what took it away."""

    key: TermsKey
    aspect: str
    stance: Stance
    until: datetime
    version_id: int
    change_id: int | None = None

    @property
    def words(self) -> str:
        return f"promised {answer(self.aspect, self.stance)} until {_day(self.until)}"


def is_promise(aspect: str, stance: Stance) -> bool:
    """Whether people lose something when a document no longer says it."""
    return not aspect_named(aspect).is_attribute and tone(aspect, stance) is Direction.BETTER


@dataclass(frozen=True, slots=True)
class Source:
    """A document that a profile was read from. `unread` are the topics that no rule of ours reads in its language."""

    key: TermsKey
    service_name: str
    version_id: int
    at: datetime
    language: str | None = None
    unread: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Cell:
    """What a service says on one aspect; `held` has what allows it most first. Empty means silence, or not `read`.

    `gone` is what it promised before it fell silent.
    """

    aspect: Aspect
    held: tuple[Held, ...]
    read: bool = True
    gone: Gone | None = None

    @property
    def _words(self) -> list[Held]:
        """What each document comes to, one for each."""
        words: dict[TermsKey, Held] = {}
        for one in self.held:
            words.setdefault(one.key, one)
        return list(words.values())

    @property
    def stances(self) -> tuple[Stance, ...]:
        """What its documents come to, each stance once: of several, documents contradict each other."""
        return tuple(dict.fromkeys(one.stance for one in self._words))

    @property
    def several(self) -> bool:
        """Whether its quotes say several things, be it within one document."""
        return len({one.stance for one in self.held}) > 1

    @property
    def foremost(self) -> Held | None:
        return self.held[0] if self.held else None

    @property
    def answer(self) -> str:
        """In a word or two: what allows the platform most."""
        if self.held:
            return self.held[0].answer
        if self.gone:
            return f"{SILENT} ({self.gone.words})"
        return SILENT if self.read else UNREAD

    @property
    def also(self) -> tuple[str, ...]:
        """The other answers that other documents of the same service give."""
        others = {one.stance: one.answer for one in reversed(self._words) if one.stance is not self.held[0].stance}
        return tuple(others[stance] for stance in self.stances[1:])

    @property
    def tone(self) -> Direction | None:
        return tone(self.aspect.key, self.held[0].stance) if self.held else None


@dataclass(frozen=True, slots=True)
class Profile:
    """What one service may do with people's work, by the documents it was read from; `gone` is what it promised before."""

    service: str
    service_name: str
    sources: tuple[Source, ...]
    cells: Mapping[str, Cell]
    gone: Mapping[str, Gone] = field(default_factory=dict)

    def cell(self, aspect: str) -> Cell:
        found = self.cells.get(aspect)
        if found is not None:
            return found
        asked = aspect_named(aspect)
        read = any(asked.topic not in source.unread for source in self.sources)
        return Cell(asked, (), read, self.gone.get(aspect) if read else None)

    @property
    def other_aspects(self) -> tuple[str, ...]:
        """Aspects of people's own packs that the service speaks on."""
        return tuple(sorted(self.cells.keys() - BY_KEY.keys()))

    @property
    def attributes(self) -> tuple[Cell, ...]:
        """What its licence covers."""
        return tuple(self.cells[one.key] for one in ASPECTS if one.is_attribute and one.key in self.cells)


def profiles(sources: Iterable[Source], held: Iterable[Held]) -> list[Profile]:
    """Each service's profile, in the order of the sources."""
    read: dict[str, list[Source]] = {}
    for source in sources:
        read.setdefault(source.key.service, []).append(source)
    said: dict[str, dict[str, list[Held]]] = {service: {} for service in read}
    for one in held:
        if one.key.service in said:
            said[one.key.service].setdefault(one.aspect, []).append(one)
    return [
        Profile(
            service,
            mine[0].service_name,
            tuple(mine),
            {key: cell_of(key, found) for key, found in said[service].items()},
        )
        for service, mine in read.items()
    ]


def cell_of(aspect: str, held: Sequence[Held]) -> Cell:
    """What stances on one aspect come to: the document that allows most comes first, then what has stood longest.

    Each document's own word stands before whatever else it says.
    """
    if len(held) > 1:
        mine: dict[TermsKey, set[Stance]] = {}
        for one in held:
            mine.setdefault(one.key, set()).add(one.stance)
        word = {key: _word(aspect, stances) for key, stances in mine.items()}

        def order(one: Held) -> tuple[int, bool, int, datetime, TermsKey]:
            own = word[one.key]
            return permission(aspect, own), one.stance is not own, permission(aspect, one.stance), one.since, one.key

        held = sorted(held, key=order)
    return Cell(aspect_named(aspect), tuple(held))


def _word(aspect: str, stances: set[Stance]) -> Stance:
    """What one document comes to: what allows most, but an opt-out holds for whatever else it may."""
    if Stance.MAY_UNLESS_OPT_OUT in stances:
        stances = stances - {Stance.MAY}
    return min(stances, key=lambda stance: permission(aspect, stance))


def unread_topics(language: str | None, rules: Rules) -> frozenset[str]:
    """The topics that no rule reads in a language: of these, silence means nothing. Empty for a language nobody guessed."""
    if language is None:
        return frozenset()
    every = {pack.topic for pack in rules.packs}
    return frozenset(every - {pack.topic for pack in rules.packs if pack.language == language.split("-")[0]})
