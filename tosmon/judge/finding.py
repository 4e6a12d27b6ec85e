"""What one clause says on each topic: who may do what with whose work, in its exact words.

A clause is read sentence by sentence, a list item together with the sentence that introduces its list. A rule's core
("train … models") makes a sentence speak on a topic; the pack's readings tell who acts and whether they may. Findings of a
clause text are remembered, so that the tenth version of a document costs only its new sentences.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from threading import Lock

from tosmon.judge.reading import Reading, fold, read
from tosmon.judge.rules import Condition, Pack, Pattern, Patterns, Rule, Rules, first
from tosmon.language import likely_languages
from tosmon.model import Actor, Clause, ClauseKind, Finding, Stance

_REMEMBERED = 200_000
_STEM_LENGTH = 400
_QUOTE_LENGTH = 360
# Where what was said before no longer holds: "we do not sell your data, but we may use it to train …".
_TURN = re.compile(
    rb"; |\bbut (?!not\b)|\bhowever\b|\balthough\b|\bwhereas\b|\bwhile we\b|, and (?:we|they) (?:may|will|can|use)\b(?! not)"
)
# A licence is all of its sentence, to the last purpose; of a list of prohibitions only one part is about AI.
_WHOLE_SENTENCES = frozenset({"content_license", "ai_training"})
_PIECE = re.compile(r"; |: (?=\()| (?=\((?:[a-z]|[ivx]{1,5}|\d{1,2})\) )")
_ITEM_START = re.compile(r"(?:[-*+|]|\(?(?:[a-z]|[ivx]{1,5}|\d{1,3}(?:\.\d{1,3})*)[.)])\s")
_LETTERS = re.compile(r"[a-z]{2}")


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a finding was made: the rule, its words as they stand in the clause, and how actor and stance were read."""

    finding: Finding
    why: str
    source: str
    words: str
    actor_words: str
    stance_words: str


@dataclass(frozen=True, slots=True)
class _Hit:
    """A rule met in a sentence. `start` and `end` are the core's place in the clause's plain text."""

    rule: Rule
    pack: Pack
    actor: Actor | None
    stance: Stance | None
    sentence: int
    start: int
    end: int
    attributes: frozenset[str]
    objects: frozenset[str]
    actor_words: str = ""
    stance_words: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """A finding of one sentence, before findings of the same kind are put together.

    `sentence` holds in folded words what the finding is said in (the sentence; of an enumeration, the part that is
    quoted), `start` and `end` its place in the clause's text.
    """

    finding: Finding
    sentence: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Known:
    """What a clause says: put together, and sentence by sentence."""

    findings: tuple[Finding, ...] = ()
    statements: tuple[Statement, ...] = ()


_SILENT = _Known()


class _Memory:
    """Findings by clause text, the longest unused forgotten first. One per set of rules and process."""

    def __init__(self, size: int = _REMEMBERED) -> None:
        self._size, self._lock = size, Lock()
        self._known: OrderedDict[tuple[str, str], _Known] = OrderedDict()

    def get(self, key: tuple[str, str]) -> _Known | None:
        found = self._known.get(key)
        if found is not None and len(self._known) > self._size // 2:
            with self._lock:
                if key in self._known:
                    self._known.move_to_end(key)
        return found

    def put(self, key: tuple[str, str], found: _Known) -> None:
        with self._lock:
            self._known[key] = found
            if len(self._known) > self._size:
                self._known.popitem(last=False)


_memories: dict[int, tuple[Rules, _Memory]] = {}


def findings(clause: Clause, rules: Rules, *, stem: str = "", headings: tuple[str, ...] = ()) -> tuple[Finding, ...]:
    """What the clause says, one finding per (topic, actor, stance); quotes are exact substrings of its text.

    `stem` is the text that introduces the list the clause is an item of. Headings say nothing by themselves.
    """
    return _known(clause, rules, stem).findings


def statements(clause: Clause, rules: Rules, *, stem: str = "") -> tuple[Statement, ...]:
    """What the clause says sentence by sentence: what a change is judged by."""
    return _known(clause, rules, stem).statements


def _known(clause: Clause, rules: Rules, stem: str) -> _Known:
    if clause.kind is ClauseKind.HEADING:
        return _SILENT
    _, memory = _memories.setdefault(id(rules), (rules, _Memory()))
    key = (clause.text, stem)
    known = memory.get(key)
    if known is None:
        reading, hits = _hits(clause.text, stem, rules)
        if reading is None or not hits:
            known = _SILENT
        else:
            spoken = _without_yielding(hits)
            known = _Known(
                tuple(_finding(clause.text, reading, hit) for hit in _merged(spoken)),
                tuple(_statement(clause.text, reading, hit) for hit in _once_per_sentence(spoken)),
            )
        memory.put(key, known)
    return known


def forget() -> None:
    """Let go of what clauses were found to say: who judges one document after another needs no memory of the last one."""
    _memories.clear()


def rules_met(text: str, rules: Rules) -> frozenset[str]:
    """The ids of all rules that a text met, before findings of the same kind are put together: for a rule's tests."""
    return frozenset(hit.rule.id for hit in _hits(text, "", rules)[1])


def failures(rules: Rules) -> tuple[str, ...]:
    """What `tosmon rules test` tells: one line for each example that its rule does not keep to; empty when all do."""
    missed = [
        f"{rule.id}: must match, does not: {text}"
        for rule in rules.rules
        for text in rule.matches
        if rule.id not in rules_met(text, rules)
    ]
    false = [
        f"{rule.id}: must not match, does: {text}"
        for rule in rules.rules
        for text in rule.misses
        if rule.id in rules_met(text, rules)
    ]
    return (*missed, *false)


def explain(clause: Clause, rules: Rules, *, stem: str = "") -> tuple[Explanation, ...]:
    """Each finding of the clause with the rule that made it, the words it was read from and why it matters."""
    explanations = []
    reading, hits = _hits(clause.text, stem, rules)
    if reading is None or clause.kind is ClauseKind.HEADING:
        return ()
    for hit in _merged(_without_yielding(hits)):
        start, end = reading.source_span(hit.start, hit.end)
        explanations.append(
            Explanation(
                _finding(clause.text, reading, hit),
                hit.rule.why,
                hit.rule.source,
                clause.text[start:end],
                hit.actor_words,
                hit.stance_words,
            )
        )
    return tuple(explanations)


def _hits(text: str, stem: str, rules: Rules) -> tuple[Reading | None, list[_Hit]]:
    folded = fold(text).encode("ascii")
    if len(folded) < 12 or not (rules.may_speak(folded) or (stem and rules.may_speak(fold(stem).encode("ascii")))):
        return None, []
    if not stem and _is_title(text):
        return None, []
    reading = read(text)
    languages = likely_languages(frozenset(reading.plain.split()), rules.languages, fold)
    hits: list[_Hit] = []
    above = _stem_of(stem)
    inner = b""
    for number, sentence in enumerate(reading.sentences):
        encoded = sentence.text.encode("ascii")
        item = _ITEM_START.match(sentence.text) is not None
        if inner and not item and number and not reading.sentences[number - 1].text.endswith(":"):
            inner = b""
        context = inner or above
        hits += _sentence_hits(encoded, reading, number, context, rules, languages)
        if encoded.rstrip().endswith(b":"):
            inner = (context if item else b"")[-_STEM_LENGTH:] + encoded[-_STEM_LENGTH:].rstrip() + b" "
    return reading, _by_who_is_named(_in_one_language(hits))


def _by_who_is_named(hits: list[_Hit]) -> list[_Hit]:
    """Without the provider where a sentence names others as those who act, and nothing in it names the provider."""
    named = {
        (hit.sentence, hit.rule.topic, hit.stance) for hit in hits if hit.actor is Actor.THIRD_PARTY and hit.actor_words
    }
    return [
        hit
        for hit in hits
        if hit.actor_words
        or hit.actor is not Actor.PROVIDER
        or not hit.pack.actors
        or (hit.sentence, hit.rule.topic, hit.stance) not in named
    ]


def _in_one_language(hits: list[_Hit]) -> list[_Hit]:
    """Without what rules of a second language read into a text too short to tell ("training" is German too)."""
    met = Counter(hit.rule.language for hit in hits)
    if len(met) < 2:
        return hits
    language = max(met, key=lambda code: (met[code], code == "en"))
    return [hit for hit in hits if hit.rule.language == language]


def _is_title(text: str) -> bool:
    """A heading in all but markup ("Licenses You Grant to Us"), or a bold line: it announces, but says nothing."""
    words = text.strip(" *_#").split()
    if not 0 < len(words) <= 10 or text.rstrip(" *_")[-1:] in ".;,!)":
        return False
    long = [word for word in words if len(word) > 3]
    return sum(word.strip("\"'“‘([*_")[:1].isupper() for word in long) > 0.7 * len(long)


def _stem_of(stem: str) -> bytes:
    """The last sentence of the clause above: what introduces the list."""
    if not stem:
        return b""
    sentences = read(stem[-2 * _STEM_LENGTH :]).sentences
    return sentences[-1].text[-_STEM_LENGTH:].encode("ascii") + b" " if sentences else b""


def _sentence_hits(
    encoded: bytes,
    reading: Reading,
    number: int,
    stem: bytes,
    rules: Rules,
    languages: frozenset[str],
) -> Iterable[_Hit]:
    sentence = reading.sentences[number]
    if _LETTERS.search(sentence.text) is None or sentence.text.endswith("?"):
        return  # a question says nothing; its answer does
    joined = stem + encoded
    candidates = rules.candidates(joined, languages)
    if not candidates:
        return
    following = " ".join(later.text for later in reading.sentences[number + 1 : number + 3]).encode("ascii")
    for rule, patterns in candidates:
        if rule.stem and not stem:
            continue
        met = _core(rule, patterns, joined, len(stem))
        if met is None or not _holds(rule, joined, stem):
            continue
        pack = rules.pack_of[rule.id]
        start, end = met
        place = _Core(joined, stem, following, start, end)
        if rule.unless_before and first(rule.unless_before, place.before):
            continue
        actor, actor_words = _actor(rule, pack, place)
        stance, stance_words = _stance(rule, pack, place)
        offset = sentence.start - len(stem)
        yield _Hit(
            rule,
            pack,
            actor,
            stance,
            number,
            max(sentence.start, offset + start),
            offset + end,
            rule.attributes | _names(pack.attributes, joined) if stance is Stance.GRANTS else frozenset(),
            _names(pack.objects, joined),
            actor_words,
            stance_words,
        )


def _core(rule: Rule, patterns: Sequence[Pattern], joined: bytes, stem: int) -> tuple[int, int] | None:
    """Where the rule's core stands: it must reach into the sentence itself, for the stem has been read by itself.

    A rule on stems has its core in the item alone.
    """
    for pattern in patterns:
        span = None if rule.stem else pattern.span(joined)
        if rule.stem or (span and span[1] <= stem):
            again = pattern.span(joined[stem:])
            span = (again[0] + stem, again[1] + stem) if again else None
        if span and span[1] > stem and not first(rule.unless_core, joined[slice(*span)]):
            return span
    return None


def _holds(rule: Rule, joined: bytes, stem: bytes) -> bool:
    return (
        all(first(group, joined) for group in rule.also)
        and not first(rule.unless, joined)
        and (not rule.stem or first(rule.stem, stem) is not None)
        and not (rule.unless_stem and first(rule.unless_stem, stem))
    )


@dataclass(frozen=True, slots=True)
class _Core:
    """A rule's core in its surroundings. `joined` is the stem and the sentence."""

    joined: bytes
    stem: bytes
    following: bytes
    start: int
    end: int

    @property
    def before(self) -> bytes:
        """What stands before the core, and it, from where the sentence last turned."""
        turn = max((found.end() for found in _TURN.finditer(self.joined, 0, self.start)), default=0)
        return self.joined[turn : self.end]

    @property
    def after(self) -> bytes:
        return self.joined[self.start :]


def _actor(rule: Rule, pack: Pack, core: _Core) -> tuple[Actor | None, str]:
    if not rule.reads_actor:
        return rule.actor, ""
    for reading in pack.actors:
        words = _met(reading.condition, core)
        if words is not None:
            return reading.actor, words
    return None, ""


def _stance(rule: Rule, pack: Pack, core: _Core) -> tuple[Stance | None, str]:
    if not rule.reads_stance:
        return rule.stance, ""
    for reading in pack.stances:
        words = _met(reading.condition, core)
        if words is not None:
            return reading.stance, words
    return None, ""


def _met(condition: Condition, core: _Core) -> str | None:
    """The words by which a condition is met (perhaps none), or `None`."""
    words = ""
    needed: tuple[tuple[Patterns, bytes], ...] = (
        (condition.when, core.joined),
        (condition.before, core.before),
        (condition.after, core.after),
        (condition.next, core.following),
        (condition.stem, core.stem),
    )
    for patterns, text in needed:
        if patterns:
            found = first(patterns, text)
            if found is None:
                return None
            words = text[slice(*found[1])].decode()
    unwanted = (
        (condition.unless, core.joined),
        (condition.unless_before, core.before),
        (condition.unless_after, core.after),
        (condition.unless_stem, core.stem),
    )
    return None if any(patterns and first(patterns, text) for patterns, text in unwanted) else words


def _names(named: Sequence[tuple[str, tuple[Pattern, ...]]], text: bytes) -> frozenset[str]:
    return frozenset(name for name, patterns in named if first(patterns, text))


def _without_yielding(hits: list[_Hit]) -> list[_Hit]:
    """Without what only counts where the topics it yields to do not cover the sentence."""
    spoken: dict[str, set[int]] = {}
    for hit in hits:
        spoken.setdefault(hit.rule.topic, set()).add(hit.sentence)
    return [hit for hit in hits if not any(hit.sentence in spoken.get(topic, ()) for topic in hit.pack.yields_to)]


def _merged(hits: list[_Hit]) -> list[_Hit]:
    """One hit per (topic, actor, stance), attributes joined, weaker stances absorbed."""
    merged = _joined(hits, lambda hit: (hit.rule.topic, hit.actor, hit.stance))
    for hit in hits:
        for strong, weak in hit.pack.absorbs:
            if hit.stance is strong:
                merged.pop((hit.rule.topic, hit.actor, weak), None)
    return list(merged.values())


def _once_per_sentence(hits: list[_Hit]) -> list[_Hit]:
    return list(_joined(hits, lambda hit: (hit.sentence, hit.rule.topic, hit.actor, hit.stance)).values())


def _joined(hits: list[_Hit], key: Callable[[_Hit], tuple[object, ...]]) -> dict[tuple[object, ...], _Hit]:
    joined: dict[tuple[object, ...], _Hit] = {}
    for hit in hits:
        held = joined.get(key(hit))
        joined[key(hit)] = (
            hit
            if held is None
            else replace(held, attributes=held.attributes | hit.attributes, objects=held.objects | hit.objects)
        )
    return joined


def _statement(text: str, reading: Reading, hit: _Hit) -> Statement:
    if hit.rule.topic in _WHOLE_SENTENCES:
        sentence = reading.sentences[hit.sentence]
        start, end = sentence.start, sentence.start + len(sentence.text)
    else:
        start, end = _quoted(reading, hit)
    source_start, source_end = reading.source_span(start, end)
    return Statement(_finding(text, reading, hit), reading.plain[start:end], source_start, source_end)


def _finding(text: str, reading: Reading, hit: _Hit) -> Finding:
    start, end = reading.source_span(*_quoted(reading, hit))
    return Finding(
        hit.rule.topic,
        hit.actor,
        hit.stance,
        text[start:end],
        start,
        end,
        hit.attributes,
        hit.objects,
        hit.rule.id,
    )


def _quoted(reading: Reading, hit: _Hit) -> tuple[int, int]:
    """The sentence, or the part of a long one that holds the core, without a list marker."""
    sentence = reading.sentences[hit.sentence]
    start, end = sentence.start, sentence.start + len(sentence.text)
    if end - start > _QUOTE_LENGTH:
        cuts = [start + found.end() for found in _PIECE.finditer(sentence.text)]
        start = max((cut for cut in cuts if cut <= hit.start), default=start)
        end = min((cut for cut in cuts if cut >= hit.end), default=end)
    if end - start > 2 * _QUOTE_LENGTH:
        plain = reading.plain
        if hit.start - start > _QUOTE_LENGTH:
            start = plain.index(" ", max(start, hit.start - _QUOTE_LENGTH // 2)) + 1
        if end - hit.end > _QUOTE_LENGTH:
            end = plain.rindex(" ", hit.end, min(end, hit.end + _QUOTE_LENGTH) + 1)
    marker = _ITEM_START.match(reading.plain, start, end)
    if marker and marker.end() < hit.end:
        start = min(marker.end(), hit.start)
    while end > start + 1 and reading.plain[end - 1] in " ;\n":
        end -= 1
    return start, end
