"""What a change does: the difference of findings before and after, and which way it goes for the people concerned.

A sentence that stands anywhere in both versions is no news, whether it moved, was renumbered or is held twice. What is
left is paired with its nearest kin: a reworded licence is one change, a promise that vanished without kin is a loss,
though no new word was added.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from zlib import crc32

from rapidfuzz.distance import Indel

from tosmon.clauses import heading_paths, stems
from tosmon.judge.finding import Statement, statements
from tosmon.judge.reading import fold
from tosmon.judge.rules import Rules
from tosmon.judge.telling import what_changed
from tosmon.model import Actor, Clause, ClauseChange, Comparison, Direction, Finding, Flag, Quote, Stance

_TOPIC_ORDER = ("ai_training", "content_license", "ai_restriction", "service_license", "ai_other")
_KIN = 0.5
_COPY = 0.6
_MOST_QUOTES = 6
_CAPITALISED = re.compile(r"(?<=[\w,;:)\"'“”] )[\"'“(]?[A-Z][\w'’.-]*")
_DENIAL = re.compile(r"(?:non-?|un|ir|in|dis)(?=\w{4})")
_WORD = re.compile(r"[a-z0-9]+(?:['.-][a-z0-9]+)*")

# How much worse off people are with such a statement than without it.
_WEIGHT = {
    ("ai_training", Stance.MAY): 3.0,
    ("ai_training", Stance.MAY_UNLESS_OPT_OUT): 2.0,
    ("ai_training", Stance.ONLY_IF_OPT_IN): -2.0,
    ("ai_training", Stance.MAY_NOT): -3.0,
    ("content_license", Stance.GRANTS): 1.8,
    ("content_license", Stance.PROVIDER_OWNS): 2.0,
    ("content_license", Stance.LIMITS): -1.5,
    ("content_license", Stance.USER_KEEPS): -2.0,
    ("ai_restriction", Stance.MAY_NOT): 1.0,
    ("ai_restriction", Stance.MAY): -1.0,
    ("service_license", Stance.MAY_NOT): 1.0,
    ("service_license", Stance.MAY): -1.0,
}
# A ban on scraping for AI binds who reads, and shields whose work is read: which way it goes depends on who asks.
_WITHOUT_DIRECTION = frozenset({"ai_restriction"})
# Stances that mean the same however they are worded.
_SAME_IN_ANY_WORDS = frozenset({Stance.USER_KEEPS})
_BOUNDED = frozenset({"nonexclusive"})

# Words that narrow what they stand with, and words that change nothing by themselves.
_NARROWING_WORDS = """
only solely except unless limited aggregated aggregate anonymized anonymised deidentified de-identified not never
consent opt-out opt object delete restrict exclude excluding without revoke temporary reasonable
"""
_EMPTY_WORDS = """
a an the of to in on at by for from with and or and/or as including include includes is are be been was were it its
this that these those such our we us you your yours our their them they he she i's also any all each other which who
whom whose will shall may can here herein hereby hereto thereof above below follows following please e.g i.e etc so
if then than there into upon section sections clause clauses article paragraph page terms policy agreement service
services see more learn
"""
_PARTIES_WORDS = """
affiliate affiliates partner partners third parties party others everyone anyone users publisher advertisers
public private personal commercial all any perpetual irrevocable days years months inputs outputs prompts content"""
_PARTIES = frozenset(_PARTIES_WORDS.split())
# What is trained on: one more of these is never a matter of wording.
_KINDS_WORDS = """
posts photos pictures images messages recordings videos audio voice face faces conversations chats transcripts files
documents emails email location biometric health works drawings music code comments searches purchases calls
"""
_KINDS = frozenset(_KINDS_WORDS.split())
# Who else gets what the provider gets: worse for people than any adjective that goes at the same time.
_RECEIVERS_WORDS = """
affiliate affiliates affiliates' partner partners licensees sublicensees third party parties advertisers
"""
_RECEIVERS = frozenset(_RECEIVERS_WORDS.split())
# Topics where one more product or plan that is named widens who is concerned.
_NAMED_SCOPE = frozenset({"ai_training", "content_license"})
_NARROWING = frozenset(_NARROWING_WORDS.split())
_EMPTY = frozenset(_EMPTY_WORDS.split())
_SAME_MEANING = {
    "licence": "license",
    "licences": "licenses",
    "licensed": "licensed",
    "sub-license": "sublicense",
    "sub-licensable": "sublicensable",
    "sublicenseable": "sublicensable",
    "royalty": "royalty-free",
    "organisation": "organization",
    "personalise": "personalize",
    "favour": "favor",
    "behaviour": "behavior",
    "e-mail": "email",
    "web": "website",
    "site": "website",
    "sites": "website",
    "websites": "website",
    "can": "may",
    "shall": "will",
    "don't": "not",
    "doesn't": "not",
    "won't": "not",
}


@dataclass(frozen=True, slots=True)
class Said:
    """A statement in its place in a version."""

    statement: Statement
    clause: int

    @property
    def finding(self) -> Finding:
        return self.statement.finding

    @property
    def key(self) -> tuple[str, Actor | None, Stance | None, str]:
        """Two of the same key say the same."""
        finding = self.finding
        return finding.topic, finding.actor, finding.stance, _bare(self.statement.sentence)


@dataclass(frozen=True, slots=True)
class Shift:
    """One statement that came, went or was altered (both sides). `weight` is how much worse off people are by it."""

    before: Said | None
    after: Said | None
    weight: float

    @property
    def finding(self) -> Finding:
        said = self.after or self.before
        assert said is not None  # a shift has at least one side
        return said.finding

    @property
    def came(self) -> Finding | None:
        return self.after.finding if self.after else None

    @property
    def went(self) -> Finding | None:
        return self.before.finding if self.before else None


def flags(
    comparison: Comparison,
    rules: Rules,
    changes: Sequence[ClauseChange] | None = None,
    *,
    service_name: str = "",
) -> tuple[Flag, ...]:
    """The flags of a change, the most important topic first; empty when nothing that people care about changed.

    `changes` are those that count (all of the comparison's when `None`); items of a list whose introduction is among
    them count too.
    """
    counted = comparison.changes if changes is None else changes
    stems_before, stems_after = stems(comparison.before), stems(comparison.after)
    touched_before = _touched([change.before for change in counted], stems_before)
    touched_after = _touched([change.after for change in counted], stems_after)
    if not _speak(comparison.before, stems_before, touched_before, rules) and not _speak(
        comparison.after, stems_after, touched_after, rules
    ):
        return ()  # most changes: the rest of the two texts need not be read
    before, after = _said(comparison.before, stems_before, rules), _said(comparison.after, stems_after, rules)
    known_before, known_after = {said.key for said in before}, {said.key for said in after}
    gone = _once(said for said in before if said.clause in touched_before and said.key not in known_after)
    new = _once(said for said in after if said.clause in touched_after and said.key not in known_before)
    found = []
    for topic in _topics(gone, new):
        shifts = _shifts(
            [said for said in gone if said.finding.topic == topic],
            [said for said in new if said.finding.topic == topic],
            _Standing(topic, before, after, comparison, service_name),
        )
        if shifts:
            found.append(_flag(topic, shifts, comparison, rules))
    return _without_echo(found)


def _without_echo(found: Sequence[Flag]) -> tuple[Flag, ...]:
    """A ban on scraping for AI is a limit on the use of the service as well: one sentence, told once and one way."""
    ban = next((flag for flag in found if flag.topic == "ai_restriction"), None)
    return tuple(
        replace(flag, what=ban.what, direction=ban.direction)
        if ban is not None and flag.topic == "service_license" and _rests_on(flag, ban)
        else flag
        for flag in found
    )


def _rests_on(flag: Flag, other: Flag) -> bool:
    """Whether each quote of a flag overlaps with one of the other's."""
    return all(
        any(one.clause == quote.clause and one.start < quote.end and quote.start < one.end for one in others)
        for quotes, others in ((flag.before, other.before), (flag.after, other.after))
        for quote in quotes
    )


def _touched(changed: Iterable[int | None], stem_of: Sequence[int | None]) -> set[int]:
    touched = {number for number in changed if number is not None}
    touched |= {number for number, stem in enumerate(stem_of) if stem in touched and stem is not None}
    return touched


def _said(clauses: Sequence[Clause], stem_of: Sequence[int | None], rules: Rules) -> list[Said]:
    found = []
    for number, (clause, stem) in enumerate(zip(clauses, stem_of, strict=True)):
        for statement in statements(clause, rules, stem="" if stem is None else clauses[stem].text):
            found.append(Said(statement, number))
    return found


def _speak(clauses: Sequence[Clause], stem_of: Sequence[int | None], places: Iterable[int], rules: Rules) -> bool:
    """Whether any of these clauses says anything that a rule reads."""
    for place in places:
        stem = stem_of[place]
        if statements(clauses[place], rules, stem="" if stem is None else clauses[stem].text):
            return True
    return False


def _once(said: Iterable[Said]) -> list[Said]:
    return list({one.key: one for one in reversed(list(said))}.values())[::-1]


def _topics(*groups: Iterable[Said]) -> list[str]:
    present = {said.finding.topic for group in groups for said in group}
    return [t for t in _TOPIC_ORDER if t in present] + sorted(present - set(_TOPIC_ORDER))


class _Standing:
    """What both versions say on a topic as a whole: an opt-out weighs otherwise where training was allowed anyway."""

    def __init__(self, topic: str, before: list[Said], after: list[Said], comparison: Comparison, name: str) -> None:
        self.said_before = [said for said in before if said.finding.topic == topic]
        self.said_after = [said for said in after if said.finding.topic == topic]
        self.stances_before = {(s.finding.actor, s.finding.stance) for s in self.said_before}
        self.stances_after = {(s.finding.actor, s.finding.stance) for s in self.said_after}
        self.modified = {(c.before, c.after) for c in comparison.changes}
        self.before, self.after = comparison.before, comparison.after
        self.own_name = frozenset(_words(fold(name)))

    def names(self, old: Said, new: Said) -> frozenset[str]:
        """Words written with a capital inside either sentence: names, and defined terms."""
        return _capitalised(self.before[old.clause].text[old.statement.start : old.statement.end]) | _capitalised(
            self.after[new.clause].text[new.statement.start : new.statement.end]
        )


def _shifts(gone: list[Said], new: list[Said], standing: _Standing) -> list[Shift]:
    pairs, lost, came = _paired(gone, new, standing)
    shifts = []
    for old, said in pairs:
        weight = _altered(old, said, standing)
        if weight is not None:
            shifts.append(Shift(old, said, weight))
    lost, came = _without_paraphrases(lost, came)
    # Terms that stand twice in a page (by region, or "current" beside "next") lose or gain a copy: what is new is told
    # against the copy that stands, once; what goes while its like stays is not gone.
    lost = [old for old in lost if _kin(old, standing.said_after) is None]
    for said in list(came):
        kin = _kin(said, standing.said_before)
        if kin is not None:
            came.remove(said)
            if _different_words(kin, said, frozenset()) != (set(), set()):
                shifts.append(Shift(kin, said, _beside(kin, said, standing)))
    shifts = _told_once(shifts)
    came = [said for number, said in enumerate(came) if _kin(said, came[:number]) is None]
    shifts += [Shift(old, None, -_weight(old.finding, standing, lost=True)) for old in lost]
    shifts += [Shift(None, said, _weight(said.finding, standing, lost=False)) for said in came]
    return shifts


def _paired(
    gone: list[Said], new: list[Said], standing: _Standing
) -> tuple[list[tuple[Said, Said]], list[Said], list[Said]]:
    """Pair what went with its nearest kin among what came, the most alike first."""
    scored = []
    for i, old in enumerate(gone):
        spelled = _spelled(old.statement.sentence)
        for j, said in enumerate(new):
            alike = Indel.normalized_similarity(spelled, _spelled(said.statement.sentence))
            together = (old.clause, said.clause) in standing.modified
            same = (old.finding.actor, old.finding.stance) == (said.finding.actor, said.finding.stance)
            if alike >= (_KIN - 0.2 if together else _KIN):
                scored.append((-(alike + 0.2 * same + 0.1 * together), i, j))
    pairs, lost, came = [], dict(enumerate(gone)), dict(enumerate(new))
    for _, i, j in sorted(scored):
        if i in lost and j in came:
            pairs.append((lost.pop(i), came.pop(j)))
    return pairs, list(lost.values()), list(came.values())


def _kin(said: Said, others: Iterable[Said]) -> Said | None:
    """The statement of the same kind that is most like it, if any is like enough to be a copy of it."""
    spelled = _spelled(said.statement.sentence)
    best, nearest = _COPY, None
    for other in others:
        if (other.finding.actor, other.finding.stance) != (said.finding.actor, said.finding.stance):
            continue
        alike = Indel.normalized_similarity(spelled, _spelled(other.statement.sentence), score_cutoff=best)
        if alike > best or (alike == best and nearest is None and alike):
            best, nearest = alike, other
    return nearest


def _told_once(shifts: list[Shift]) -> list[Shift]:
    """Without the second of two shifts whose new wording is a copy of the first's."""
    kept: list[Shift] = []
    for shift in shifts:
        copies = (other for other in kept if other.after and shift.after and _kin(shift.after, [other.after]))
        if next(copies, None) is None:
            kept.append(shift)
    return kept


def _without_paraphrases(lost: list[Said], came: list[Said]) -> tuple[list[Said], list[Said]]:
    """Without what is said in other words: "your content belongs to you" is as good as "you own your content"."""
    kept = {said.finding.stance for said in lost} & {said.finding.stance for said in came} & _SAME_IN_ANY_WORDS
    return (
        [said for said in lost if said.finding.stance not in kept],
        [said for said in came if said.finding.stance not in kept],
    )


def _beside(kin: Said, said: Said, standing: _Standing) -> float:
    """How much worse a statement is that comes beside its like: by what it adds, else half as much as if it were alone."""
    if kin.finding.attributes != said.finding.attributes:
        weight = _altered(kin, said, standing)
        if weight:
            return weight
    stance = said.finding.stance
    return _WEIGHT.get((said.finding.topic, stance), 0.0) / 2 if stance else 0.0


def _weight(finding: Finding, standing: _Standing, *, lost: bool) -> float:
    weight = _WEIGHT.get((finding.topic, finding.stance), 0.0) if finding.stance else 0.0
    if finding.topic == "ai_training" and finding.stance in (Stance.MAY_UNLESS_OPT_OUT, Stance.ONLY_IF_OPT_IN):
        elsewhere = standing.stances_after if lost else standing.stances_before
        if (finding.actor, Stance.MAY) in elsewhere:
            return -1.0
    if finding.stance is Stance.GRANTS:
        weight += 0.2 * len(finding.attributes - _BOUNDED)
    return weight


def _altered(old: Said, new: Said, standing: _Standing) -> float | None:
    """How much worse the new wording is for people; `None` when it means the same."""
    names = standing.names(old, new)
    gone, came = _different_words(old, new, names)
    gone, came = gone - standing.own_name, came - standing.own_name
    a, b = old.finding, new.finding
    if (a.actor, a.stance) != (b.actor, b.stance):
        return _weight(b, standing, lost=False) - _weight(a, standing, lost=False)
    if (not gone and not came) or _is_paraphrase(gone, came, a, b, names):
        return None
    weight = 0.0
    if a.stance is Stance.GRANTS:
        widened, narrowed = b.attributes - a.attributes - _BOUNDED, a.attributes - b.attributes - _BOUNDED
        weight = float(len(widened) - len(narrowed)) - 0.5 * (
            len((b.attributes - a.attributes) & _BOUNDED) - len((a.attributes - b.attributes) & _BOUNDED)
        )
    if a.stance in (Stance.GRANTS, Stance.MAY, Stance.MAY_UNLESS_OPT_OUT):
        weight += 1.5 * (bool(came & _RECEIVERS) - bool(gone & _RECEIVERS))
    if weight == 0.0:
        sign = 1.0 if _WEIGHT.get((a.topic, a.stance), 0.0) >= 0 else -1.0  # type: ignore[arg-type]
        narrowing = len(came & _NARROWING) - len(gone & _NARROWING)
        if narrowing:
            weight = -0.5 * sign if narrowing > 0 else 0.5 * sign
        elif len(came) != len(gone):
            weight = 0.3 * sign if len(came) > len(gone) else -0.3 * sign
    return weight / 3 if a.stance in _SAME_IN_ANY_WORDS else weight


def _is_paraphrase(gone: set[str], came: set[str], old: Finding, new: Finding, names: frozenset[str]) -> bool:
    """A word or two for another word or two ("deactivated", "turned off"), where no attribute and no party differs.

    That people keep their rights is the same in any words, so long as the words that came or went bound nothing.
    """
    weighty = _PARTIES | _NARROWING | _KINDS | names
    if old.topic == "ai_training" and len(gone | came) == 1 and not (gone | came) & weighty:
        return True  # one purpose named or not ("to predict and answer", "to predict"), whose data is as before
    most = 6 if old.stance in _SAME_IN_ANY_WORDS else 2
    few = 0 < len(gone) <= most and 0 < len(came) <= most
    return few and old.attributes == new.attributes and not (gone | came) & (_PARTIES | _NARROWING)


def _different_words(old: Said, new: Said, names: frozenset[str]) -> tuple[set[str], set[str]]:
    """Words of weight that only one of the sentences has: no articles, names, numbers of sections or spellings."""
    left = {_SAME_MEANING.get(w, w) for w in _words(old.statement.sentence)}
    right = {_SAME_MEANING.get(w, w) for w in _words(new.statement.sentence)}
    gone = {w for w in left - right if _weighs(w)}
    came = {w for w in right - left if _weighs(w)}
    if gone | came <= names and ((gone and came) or old.finding.topic not in _NAMED_SCOPE):
        return set(), set()  # a company or product under a new name
    for word in list(gone):
        twin = next((w for w in came if _spelled_alike(word, w)), None)
        if twin:
            gone.discard(word)
            came.discard(twin)
    return gone, came


def _weighs(word: str) -> bool:
    return word not in _EMPTY and not word[0].isdigit() and len(word) > 1


def _spelled_alike(one: str, other: str) -> bool:
    """A mended typo, a plural, another spelling; "exclusive" and "non-exclusive" are opposites."""
    if one != other and _DENIAL.sub("", one, count=1) == _DENIAL.sub("", other, count=1):
        return False
    return min(len(one), len(other)) >= 4 and Indel.normalized_similarity(one, other) >= 0.8


def _capitalised(text: str) -> frozenset[str]:
    return frozenset(word for found in _CAPITALISED.findall(text) for word in _words(fold(found)))


@lru_cache(maxsize=20_000)
def _bare(sentence: str) -> str:
    return " ".join(_words(sentence))


@lru_cache(maxsize=20_000)
def _spelled(sentence: str) -> str:
    """The sentence with one letter for each word, so that a string distance counts words, at C speed.

    Two words in fifty thousand share a letter: no matter for likeness.
    """
    return "".join([chr(0x100 + crc32(word.encode()) % 0xD000) for word in _words(sentence)])


def _words(sentence: str) -> list[str]:
    return _WORD.findall(sentence)


def _flag(topic: str, shifts: list[Shift], comparison: Comparison, rules: Rules) -> Flag:
    ordered = sorted(shifts, key=lambda shift: -abs(shift.weight))
    headings_before, headings_after = heading_paths(comparison.before), heading_paths(comparison.after)
    used = list(dict.fromkeys(shift.finding.rule for shift in ordered))
    return Flag(
        topic,
        _direction(shifts) if topic not in _WITHOUT_DIRECTION else Direction.NEUTRAL,
        what_changed(topic, ordered),
        tuple(_quote(s.before, headings_before) for s in ordered if s.before)[:_MOST_QUOTES],
        tuple(_quote(s.after, headings_after) for s in ordered if s.after)[:_MOST_QUOTES],
        tuple(used),
        " ".join(dict.fromkeys(rules.by_id[rule].why for rule in used[:2] if rule in rules.by_id)),
    )


def _direction(shifts: list[Shift]) -> Direction:
    """By the weightiest shift of each kind: a promise made in three sentences is one promise."""
    kinds: dict[tuple[Stance | None, bool], float] = {}
    for shift in shifts:
        kind = (shift.finding.stance, shift.weight > 0)
        kinds[kind] = max(kinds.get(kind, 0.0), abs(shift.weight))
    worse = sum(weight for (_, is_worse), weight in kinds.items() if is_worse)
    better = sum(weight for (_, is_worse), weight in kinds.items() if not is_worse)
    if not worse and not better:
        return Direction.NEUTRAL
    if min(worse, better) > 0.8 * max(worse, better):
        return Direction.MIXED
    return Direction.WORSE if worse > better else Direction.BETTER


def _quote(said: Said, headings: Sequence[tuple[str, ...]]) -> Quote:
    finding = said.finding
    return Quote(finding.quote, said.clause, finding.start, finding.end, headings[said.clause])
