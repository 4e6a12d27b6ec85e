"""Rules are data: packs of YAML, checked when they are loaded, run by an engine that cannot be made to hang.

A pack says what counts as a finding on one topic in one language. It has words (named pieces of patterns), rules (what must
stand in a sentence), readings (how the sentence tells who acts and whether they may), and examples that are its tests.
People put packs of their own beside ours. Patterns run on RE2, whose time is linear in the text whatever is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import re2
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from tosmon.errors import RuleError
from tosmon.judge.reading import fold
from tosmon.model import Actor, Stance

READ = "read"
"""In place of an actor or a stance: the sentence tells, by the pack's readings."""

_PLACES = ("when", "before", "after", "next", "stem", "unless", "unless_before", "unless_after", "unless_stem")
_RULE_KEYS = frozenset(
    {"id", "actor", "stance", "says", "why", "source", "patterns", "unless_core", "unless_before", "also", "unless"}
    | {"stem", "unless_stem", "attributes", "examples"}
)
_PACK_KEYS = frozenset(
    {"pack", "language", "topic", "about", "stems", "words", "rules", "actors", "stances", "attributes", "objects"}
    | {"yields_to", "absorbs"}
)
_COUNTED = re.compile(r"\{\d+,\d*\}\??")
_NAME = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
_OURS = "packs"


class Pattern:
    """A pattern in the words it was written in. Compiled when it is first looked for: most languages never are.

    A counted gap (`[^;]{0,90}`) gives RE2's automaton a state for each count and each place it may have begun at: 50 µs for
    a sentence. The same pattern with gaps of any length has a handful of states, and rules out all but a few sentences in
    a hundredth of that; only what it lets through is looked at with the counts.
    """

    __slots__ = ("_loose", "_search", "written")

    def __init__(self, written: str) -> None:
        self.written = written
        self._search: Any = None
        self._loose: Any = None

    def span(self, text: bytes) -> tuple[int, int] | None:
        if self._loose is None:
            self._loose = _compiled(_COUNTED.sub("*", self.written)).search
        if self._loose(text) is None:
            return None
        if self._search is None:
            self._search = _compiled(self.written).search
        found = self._search(text)
        return found.span() if found else None


Patterns = tuple[Pattern, ...]


def first(patterns: Patterns, text: bytes) -> tuple[Pattern, tuple[int, int]] | None:
    """The first of the patterns that is found, and where."""
    for pattern in patterns:
        span = pattern.span(text)
        if span:
            return pattern, span
    return None


@dataclass(frozen=True, slots=True)
class Condition:
    """What must (and must not) stand where: in the sentence, before or after the rule's core, in the next
    two sentences of the clause, in the stem of its list."""

    when: Patterns = ()
    before: Patterns = ()
    after: Patterns = ()
    next: Patterns = ()
    stem: Patterns = ()
    unless: Patterns = ()
    unless_before: Patterns = ()
    unless_after: Patterns = ()
    unless_stem: Patterns = ()


@dataclass(frozen=True, slots=True)
class ActorReading:
    """If the condition holds, this is who acts."""

    actor: Actor
    condition: Condition


@dataclass(frozen=True, slots=True)
class StanceReading:
    """If the condition holds, this is what they may."""

    stance: Stance
    condition: Condition


@dataclass(frozen=True, slots=True)
class Rule:
    """What must stand in a sentence to be a finding. `actor` and `stance` are fixed, or read from the sentence."""

    id: str
    pack: str
    topic: str
    language: str
    actor: Actor | None
    stance: Stance | None
    reads_actor: bool
    reads_stance: bool
    says: str
    why: str
    source: str
    patterns: Patterns
    unless_core: Patterns
    unless_before: Patterns
    also: tuple[Patterns, ...]
    unless: Patterns
    stem: Patterns
    unless_stem: Patterns
    attributes: frozenset[str]
    matches: tuple[str, ...]
    misses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pack:
    """The rules on one topic in one language, with the readings they share."""

    name: str
    language: str
    topic: str
    about: str
    origin: str
    stems: Pattern
    rules: tuple[Rule, ...]
    actors: tuple[ActorReading, ...]
    stances: tuple[StanceReading, ...]
    attributes: tuple[tuple[str, Patterns], ...]
    objects: tuple[tuple[str, Patterns], ...]
    yields_to: frozenset[str]
    absorbs: tuple[tuple[Stance, Stance], ...]


class Rules:
    """All packs in force, ready to read clauses. Equal only to itself: findings are remembered per object."""

    def __init__(self, packs: Sequence[Pack], stems: Iterable[str]) -> None:
        self.packs = tuple(packs)
        self.rules = tuple(rule for pack in packs for rule in pack.rules)
        self.pack_of = {rule.id: pack for pack in packs for rule in pack.rules}
        self.by_id = {rule.id: rule for rule in self.rules}
        self.languages = frozenset(pack.language for pack in packs)
        self._stems = re2.compile("|".join(f"(?:{stem})" for stem in stems) or "[^\\s\\S]", _options())
        self._readers: dict[frozenset[str], _Reader] = {}

    def may_speak(self, folded: bytes) -> bool:
        """Whether a text holds any word that a rule could start from: a cheap first look."""
        return self._stems.search(folded) is not None

    def candidates(self, sentence: bytes, languages: frozenset[str]) -> list[tuple[Rule, list[Pattern]]]:
        """The rules of the languages that may have a core in the sentence, with the patterns that may match."""
        # A reader for one language and one for all: there are as many mixtures as short texts.
        wanted = languages if len(languages) == 1 else self.languages
        reader = self._readers.get(wanted)
        if reader is None:
            reader = self._readers[wanted] = _Reader([pack for pack in self.packs if pack.language in wanted])
        found = reader.candidates(sentence)
        return found if wanted is languages else [entry for entry in found if entry[0].language in languages]


class _Reader:
    """The packs of the languages that a text may be in, and what finds the few rules worth running on a sentence.

    One pass over a sentence for the literal pieces that each core cannot do without leaves a handful of 200 cores to run.
    RE2's Set, which would run all cores in one pass, took a hundred times as long: its automaton is too big.
    """

    def __init__(self, packs: Sequence[Pack]) -> None:
        self._speaking = re2.Set.SearchSet(_options())
        self._speakers = [pack.name for pack in packs]
        self._cores: list[tuple[Rule, Pattern]] = []
        self._filter = re2.Filter()
        for pack in packs:
            self._speaking.Add(pack.stems.written)
            for rule in pack.rules:
                for pattern in rule.patterns:
                    self._filter.Add(pattern.written, _options())
                    self._cores.append((rule, pattern))
        if packs:
            self._speaking.Compile()
        if self._cores:
            self._filter.Compile()

    def candidates(self, sentence: bytes) -> list[tuple[Rule, list[Pattern]]]:
        if not self._cores:
            return []
        # "ai" stands in "email" too: the literal pieces alone would let half of all sentences through.
        speaking = {self._speakers[number] for number in self._speaking.Match(sentence) or ()}
        possible = (self._filter.Match(sentence, True) or ()) if speaking else ()
        found: dict[str, tuple[Rule, list[Pattern]]] = {}
        for number in sorted(possible):
            rule, pattern = self._cores[number]
            if rule.pack in speaking:
                found.setdefault(rule.id, (rule, []))[1].append(pattern)
        return list(found.values())


# Of 256 MB each, the patterns of a day's changes took 185 MB in all and 5.5 s; of half a megabyte each, 115 MB and 6.1 s.
_LITTLE = 512 << 10


@cache
def _options(memory: int = 256 << 20) -> Any:
    options = re2.Options()
    options.max_mem = memory
    options.log_errors = False
    return options


_cache: dict[tuple[tuple[str, int, int], ...], Rules] = {}


def load_rules(extra: Sequence[Path] = ()) -> Rules:
    """Our packs and those of `extra` (files, or folders of `*.yaml`), checked and compiled once per process.

    An extra rule with the id of one of ours takes its place. Raises RuleError with file, rule and what to mend.
    """
    files = [file for path in extra for file in _pack_files(path)]
    key = tuple((str(file), (stat := file.stat()).st_mtime_ns, stat.st_size) for file in files)
    if key not in _cache:
        ours = [(f"{_OURS}/{entry.name}", entry.read_text("utf-8")) for entry in _our_files()]
        theirs = [(str(file), file.read_text("utf-8")) for file in files]
        _cache[key] = rules_from(ours + theirs)
    return _cache[key]


def _our_files() -> list[Any]:
    folder = resources.files("tosmon.judge") / _OURS
    return sorted((f for f in folder.iterdir() if f.name.endswith(".yaml")), key=lambda f: f.name)


def _pack_files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(path.glob("*.yaml"))
    if path.is_file():
        return [path]
    raise RuleError(f"{path}: no such rule pack; give a YAML file or a folder of them")


def rules_from(sources: Iterable[tuple[str, str]]) -> Rules:
    """Rules from (name, YAML text) pairs; a later rule of the same id replaces an earlier one."""
    words: dict[str, dict[str, str]] = {}
    packs: list[Pack] = []
    stems: list[str] = []
    for origin, text in sources:
        raw = _parsed(origin, text)
        language = _text(origin, raw, "language", "en")
        names = words.setdefault(language, {})
        names.update(_words(origin, raw.get("words") or {}, names))
        if "rules" not in raw:
            continue
        pack, its_stems = _pack(origin, raw, language, names)
        replaced = {rule.id for rule in pack.rules}
        packs = [_without(p, replaced) for p in packs]
        packs.append(pack)
        stems += its_stems
    return Rules(packs, dict.fromkeys(stems))


def cases(text: str) -> list[dict[str, Any]]:
    """The second YAML document of a pack: sentences with the findings they must give. Read by tests only."""
    documents = text.split("\n---\n", 1)
    return list(YAML(typ="safe", pure=True).load(documents[1])["cases"]) if len(documents) > 1 else []


def _without(pack: Pack, ids: set[str]) -> Pack:
    if not any(rule.id in ids for rule in pack.rules):
        return pack
    kept = tuple(rule for rule in pack.rules if rule.id not in ids)
    return Pack(**{name: getattr(pack, name) for name in Pack.__slots__} | {"rules": kept})


def _parsed(origin: str, text: str) -> dict[str, Any]:
    try:
        raw = YAML(typ="safe", pure=True).load(text.split("\n---\n", 1)[0])
    except YAMLError as error:
        raise RuleError(f"{origin}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise RuleError(f"{origin}: expected a pack (a mapping with `topic` and `rules`), got {type(raw).__name__}")
    if unknown := set(raw) - _PACK_KEYS:
        raise RuleError(
            f"{origin}: unknown key `{sorted(map(str, unknown))[0]}`; known: {', '.join(sorted(_PACK_KEYS))}"
        )
    return raw


def _pack(origin: str, raw: dict[str, Any], language: str, words: Mapping[str, str]) -> tuple[Pack, list[str]]:
    where = _Place(origin, "", words)
    topic = _text(origin, raw, "topic")
    rules = []
    if not isinstance(raw["rules"], list):
        raise RuleError(f"{origin}: `rules` must be a list")
    for number, entry in enumerate(raw["rules"], 1):
        if not isinstance(entry, dict):
            raise RuleError(f"{origin}: rule {number}: expected a mapping, got {type(entry).__name__}")
        rules.append(_rule(origin, number, entry, topic, language, words, _text(origin, raw, "pack")))
    ids = [rule.id for rule in rules]
    if double := next((id_ for id_ in ids if ids.count(id_) > 1), None):
        raise RuleError(f"{origin}: rule {double}: the id is used twice; give each rule its own")
    stems = [where.expanded(stem) for stem in _strings(origin, "", raw, "stems")]
    for stem in stems:
        where.pattern(stem)
    any_stem = "|".join(f"(?:{stem})" for stem in stems)
    if rules and not stems:
        raise RuleError(f"{origin}: `stems` is missing: list the words without which no rule of the pack can match")
    pack = Pack(
        name=_text(origin, raw, "pack"),
        language=language,
        topic=topic,
        about=_text(origin, raw, "about", ""),
        origin=origin,
        stems=where.pattern(any_stem),
        rules=tuple(rules),
        actors=tuple(
            ActorReading(_member(origin, "", Actor, "actor", entry.get("actor")), _condition(where, entry))
            for entry in _entries(origin, raw, "actors")
        ),
        stances=tuple(
            StanceReading(_member(origin, "", Stance, "stance", entry.get("stance")), _condition(where, entry))
            for entry in _entries(origin, raw, "stances")
        ),
        attributes=_named(where, raw, "attributes"),
        objects=_named(where, raw, "objects"),
        yields_to=frozenset(_strings(origin, "", raw, "yields_to")),
        absorbs=tuple(
            (_member(origin, "", Stance, "absorbs", a), _member(origin, "", Stance, "absorbs", b))
            for a, weaker in (raw.get("absorbs") or {}).items()
            for b in weaker
        ),
    )
    return pack, stems


def _rule(
    origin: str,
    number: int,
    entry: dict[str, Any],
    topic: str,
    language: str,
    words: Mapping[str, str],
    pack: str,
) -> Rule:
    name = entry.get("id")
    if not isinstance(name, str) or not name:
        raise RuleError(f"{origin}: rule {number}: `id` is missing; give it a name like `ai_training.train`")
    if unknown := set(entry) - _RULE_KEYS:
        known = ", ".join(sorted(_RULE_KEYS))
        raise RuleError(f"{origin}: rule {name}: unknown key `{sorted(map(str, unknown))[0]}`; known: {known}")
    place = _Place(origin, name, words)
    for key in ("why", "patterns"):
        if not entry.get(key):
            raise RuleError(f"{origin}: rule {name}: `{key}` is missing")
    examples = entry.get("examples") or {}
    if not isinstance(examples, dict) or set(examples) - {"match", "no_match"}:
        raise RuleError(f"{origin}: rule {name}: `examples` takes two lists, `match` and `no_match`")
    if not examples.get("match"):
        raise RuleError(
            f"{origin}: rule {name}: give at least one example under `examples: match`; it is the rule's test"
        )
    actor, stance = entry.get("actor"), entry.get("stance")
    also = entry.get("also") or []
    return Rule(
        id=name,
        pack=pack,
        topic=topic,
        language=language,
        actor=None if actor in (None, READ) else _member(origin, name, Actor, "actor", actor),
        stance=None if stance in (None, READ) else _member(origin, name, Stance, "stance", stance),
        reads_actor=actor == READ,
        reads_stance=stance == READ,
        says=str(entry.get("says") or ""),
        why=str(entry["why"]),
        source=str(entry.get("source") or ""),
        patterns=place.all(_strings(origin, name, entry, "patterns")),
        unless_core=place.any(_strings(origin, name, entry, "unless_core")),
        unless_before=place.any(_strings(origin, name, entry, "unless_before")),
        also=tuple(place.any(group if isinstance(group, list) else [group]) for group in also),
        unless=place.any(_strings(origin, name, entry, "unless")),
        stem=place.any(_strings(origin, name, entry, "stem")),
        unless_stem=place.any(_strings(origin, name, entry, "unless_stem")),
        attributes=frozenset(_strings(origin, name, entry, "attributes")),
        matches=tuple(_strings(origin, name, examples, "match")),
        misses=tuple(_strings(origin, name, examples, "no_match")),
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a pattern stands, to name it in an error, and the words it may use."""

    origin: str
    rule: str
    words: Mapping[str, str]

    def all(self, patterns: Iterable[str]) -> Patterns:
        return tuple(self.pattern(expanded) for expanded in map(self.expanded, patterns))

    def any(self, patterns: Iterable[str]) -> Patterns:
        """The patterns as one, where it does not matter which of them is found: one search instead of many."""
        expanded = [self.expanded(pattern) for pattern in patterns]
        if not self.trusted:
            for pattern in expanded:
                self.pattern(pattern)
        return (Pattern("|".join(f"(?:{pattern})" for pattern in expanded)),) if expanded else ()

    def expanded(self, pattern: str) -> str:
        def word(found: re.Match[str]) -> str:
            if found[1] not in self.words:
                known = ", ".join(sorted(self.words)) or "none"
                raise RuleError(f"{self}: pattern `{pattern}`: no word is called `{found[1]}`; known: {known}")
            return self.words[found[1]]

        return _NAME.sub(word, _folded_pattern(pattern))

    def pattern(self, pattern: str) -> Pattern:
        """Checked now, unless it is ours: a test compiles those, and an error must name the pack at load."""
        try:
            if not self.trusted:
                _compiled(pattern)
        except re2.error as error:
            reason = error.args[0].decode() if isinstance(error.args[0], bytes) else error.args[0]
            raise RuleError(
                f"{self}: pattern `{pattern}`: {reason} (RE2: no look-around, no back-references)"
            ) from error
        return Pattern(pattern)

    @property
    def trusted(self) -> bool:
        return self.origin.startswith(f"{_OURS}/")

    def __str__(self) -> str:
        return f"{self.origin}: rule {self.rule}" if self.rule else self.origin


@cache
def _compiled(pattern: str) -> Any:
    """An automaton of little memory, as there are hundreds of them; the few patterns too large for that get room."""
    try:
        return re2.compile(pattern, _options(_LITTLE))
    except re2.error:
        return re2.compile(pattern, _options())


def _folded_pattern(pattern: str) -> str:
    """The pattern in the letters that rules read: accents go, capitals of classes (`\\W`) stay."""
    return "".join(letter if letter.isascii() else fold(letter).replace("?", ".") for letter in pattern)


def _words(origin: str, raw: Any, known: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(raw, dict):
        raise RuleError(f"{origin}: `words` must be a mapping of names to patterns")
    words = dict(known)
    for name, pattern in raw.items():
        alternatives = pattern if isinstance(pattern, list) else [pattern]
        place = _Place(origin, f"word {name}", words)
        expanded = [place.expanded(str(alternative)) for alternative in alternatives]
        words[str(name)] = "(?:" + "|".join(expanded) + ")"
        place.pattern(words[str(name)])
    return words


def _condition(place: _Place, entry: Mapping[str, Any]) -> Condition:
    if unknown := set(entry) - {*_PLACES, "actor", "stance"}:
        raise RuleError(f"{place}: reading: unknown key `{sorted(unknown)[0]}`; known: {', '.join(_PLACES)}")
    return Condition(**{key: place.any(_strings(place.origin, place.rule, entry, key)) for key in _PLACES})


def _named(place: _Place, raw: Mapping[str, Any], key: str) -> tuple[tuple[str, Patterns], ...]:
    entries = raw.get(key) or {}
    if not isinstance(entries, dict):
        raise RuleError(f"{place}: `{key}` must be a mapping of names to patterns")
    return tuple((str(name), place.any(_strings(place.origin, place.rule, entries, name))) for name in entries)


def _entries(origin: str, raw: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    entries = raw.get(key) or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise RuleError(f"{origin}: `{key}` must be a list of readings")
    return entries


def _strings(origin: str, rule: str, raw: Mapping[str, Any], key: str) -> list[str]:
    value = raw.get(key)
    if value is None:
        return []
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(entry, str) for entry in values):
        place = f"{origin}: rule {rule}" if rule else origin
        raise RuleError(f"{place}: `{key}` must be a text or a list of texts")
    return values


def _text(origin: str, raw: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = raw.get(key, default)
    if not isinstance(value, str):
        raise RuleError(f"{origin}: `{key}` is missing or no text")
    return value


def _member(origin: str, rule: str, kind: Any, key: str, value: Any) -> Any:
    try:
        return kind(value)
    except ValueError:
        place = f"{origin}: rule {rule}" if rule else origin
        known = ", ".join([*kind, READ])
        raise RuleError(f"{place}: `{key}` is {value!r}; known: {known}") from None
