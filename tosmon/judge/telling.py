"""Say what a change means in words a newspaper could print, and never more than the quotes show."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Protocol

from tosmon.model import Actor, Direction, Finding, Flag, Severity, Stance

_OBJECTS = {
    "content": "your content",
    "inputs": "what you type in",
    "outputs": "what it makes for you",
    "feedback": "your feedback",
    "likeness": "your voice or likeness",
    "public_data": "public data",
    "personal_data": "your personal data",
    "usage_data": "how you use it",
}
_ATTRIBUTES = {
    "any_purpose": "for any purpose",
    "commercial_use": "for commercial use",
    "perpetual": "perpetual",
    "irrevocable": "irrevocable",
    "survives_termination": "outlasting deletion",
    "sublicensable": "sublicensable",
    "transferable": "transferable",
    "derivative_works": "including derivative works",
    "likeness": "including your name and likeness",
    "moral_rights_waived": "with moral rights waived",
    "assignment": "with rights assigned",
    "promotion": "for promotion",
    "public_display": "for public display",
    "worldwide": "worldwide",
    "royalty_free": "unpaid",
    "exclusive": "exclusive",
    "nonexclusive": "non-exclusive",
}
_TOPICS = {
    "ai_restriction": "what users may do with AI",
    "ai_other": "how AI is used",
    "service_license": "what you may do with the service",
    "ai_training": "the use of your data to train AI",
    "content_license": "the licence to your content",
}
_PURPOSES = {
    "any_purpose": "for any purpose",
    "commercial_use": "commercially",
    "promotion": "for promotion",
    "public_display": "in public",
}
_MOST_ATTRIBUTES = 4


class Shift(Protocol):
    """What is told of: one statement that came, went or was altered."""

    @property
    def weight(self) -> float: ...
    @property
    def finding(self) -> Finding: ...
    @property
    def came(self) -> Finding | None: ...
    @property
    def went(self) -> Finding | None: ...


def what_changed(topic: str, shifts: Sequence[Shift]) -> str:
    """A short predicate without its subject ("may now train AI models on your content"), from the weightiest shift."""
    if topic == "ai_training":
        return _training(shifts)
    if topic == "content_license":
        return _license(shifts)
    if topic == "ai_restriction" and (told := _restriction(shifts[0])):
        return told
    return f"changes {_TOPICS.get(topic, topic.replace('_', ' '))}"


def headline(
    service_name: str, type: str, flags: Sequence[Flag], effective: date | None, reworded: str, at: date | None = None
) -> str:
    """One line: who, which document, what is new by order of weight, from when."""
    told = [flag.what for flag in flags if flag.topic in ("ai_training", "content_license")][:3]
    told = list(dict.fromkeys(told or [flag.what for flag in flags]))[: 3 if told else 2]
    parts = told or [reworded]
    if effective is not None:
        parts = [*parts, f"from {_day(effective)}"]
    return f"{f'{service_name} {type}'.strip()}: {'; '.join(part for part in parts if part)}"


def severity(flags: Sequence[Flag]) -> Severity:
    """High: people lose on training or on their rights. Medium: those topics, otherwise. Low: the rest."""
    weighty = [flag for flag in flags if flag.topic in ("ai_training", "content_license")]
    if any(flag.direction in (Direction.WORSE, Direction.MIXED) and flag.topic == "ai_training" for flag in weighty):
        return Severity.HIGH
    if any(flag.direction is Direction.WORSE for flag in weighty):
        return Severity.HIGH
    return Severity.MEDIUM if weighty else Severity.LOW


def _training(shifts: Sequence[Shift]) -> str:
    shift = shifts[0]
    came, went = shift.came, shift.went
    said = came or went
    assert said is not None  # a shift has at least one side
    what = f"train AI on {_object(said)}"
    others = said.actor is Actor.THIRD_PARTY
    if came and went and came.stance is went.stance:
        return f"rewords what it says about training AI on {_object(said)}"
    if came is None:
        return _training_gone(went, what, others)
    if shift.weight < 0 and came.stance is Stance.MAY_UNLESS_OPT_OUT:
        return f"now lets you opt out of AI training{' by others' if others else ''}"
    if shift.weight < 0 and came.stance is Stance.ONLY_IF_OPT_IN:
        return f"{'others' if others else 'it'} must now ask before {'they' if others else 'it'} may {what}"
    if others:
        return {
            Stance.MAY: f"others may now {what}",
            Stance.MAY_UNLESS_OPT_OUT: f"others may {what} unless you opt out",
            Stance.ONLY_IF_OPT_IN: f"others may {what} only if you agree",
        }.get(came.stance or Stance.MAY, f"others may not {what}")
    return {
        Stance.MAY: f"may now {what}",
        Stance.MAY_UNLESS_OPT_OUT: f"may {what} unless you opt out",
        Stance.ONLY_IF_OPT_IN: f"may {what} only if you agree",
    }.get(came.stance or Stance.MAY, f"says it will not {what}")


_BANNED = (
    (re.compile(r"\bscrap|\bcrawl|\bharvest|\bspider"), "scraping the site"),
    (re.compile(r"\bmin(?:e|ing)\b"), "text and data mining"),
    (re.compile(r"\brevers|\bdecompil"), "taking its models apart"),
    (re.compile(r"\boutputs?\b"), "using its output"),
)
_FOR_AI = re.compile(r"\btrain|\bdevelop|\bfine-?tun|\bbuild|machine learning")


def _restriction(shift: Shift) -> str:
    """ "forbids scraping the site to train AI": what came or went, by the words of the quote; empty for a rewording."""
    came, went = shift.came, shift.went
    said = came or went
    if said is None or said.stance is None or (came and went and came.stance is went.stance):
        return ""
    quote = said.quote.casefold()
    what = next((words for pattern, words in _BANNED if pattern.search(quote)), "")
    trains = bool(_FOR_AI.search(quote))
    if not what and not trains:
        return ""
    what = f"{what or 'using the service'}{' to train AI' if trains else ''}"
    verb = {Stance.MAY_NOT: "forbids", Stance.MAY: "allows"}.get(said.stance)
    if verb is None:
        return ""
    return f"{verb} {what}" if came else f"no longer {verb} {what}"


def _training_gone(went: Finding | None, what: str, others: bool) -> str:
    stance = went.stance if went else None
    if stance is Stance.MAY_NOT:
        return f"no longer promises {'that others will not' if others else 'not to'} {what}"
    if stance is Stance.MAY_UNLESS_OPT_OUT:
        return "no longer mentions the opt-out from AI training"
    if stance is Stance.ONLY_IF_OPT_IN:
        return f"no longer says that it asks before it may {what}"
    return f"no longer says that {'others' if others else 'it'} may {what}"


def _license(shifts: Sequence[Shift]) -> str:
    told: list[str] = []
    # A licence that lost an adjective and won a holder is no better: only what weighs the way it goes is told.
    worse, better = [s for s in shifts if s.weight > 0], [s for s in shifts if s.weight < 0]
    widened = _joined(worse, lambda came, went: came.attributes - went.attributes)
    narrowed = _joined(better, lambda came, went: went.attributes - came.attributes)
    held = [shift.went for shift in shifts if shift.went and shift.went.stance is Stance.GRANTS]
    standing = frozenset(name for went in held for name in went.attributes)
    for shift in shifts:
        came, went = shift.came, shift.went
        if came and went and came.stance is went.stance:
            continue
        if held and came and came.stance is Stance.GRANTS and came.actor is Actor.PROVIDER and not went:
            widened |= came.attributes - standing  # one more sentence on a licence there is: only its scope is news
            continue
        phrase = _license_phrase(came, went)
        if phrase and phrase not in told:
            told.append(phrase)
    if widened:
        told.insert(0, f"licence to your content now {_attributes(widened)}")
    elif narrowed:
        told.insert(0, f"licence to your content no longer {_attributes(narrowed)}")
    return "; ".join(told[:2]) or "rewords the licence to your content"


def _license_phrase(came: Finding | None, went: Finding | None) -> str:
    if came is not None:
        return {
            Stance.GRANTS: _grant(came),
            Stance.USER_KEEPS: "says that your rights stay yours",
            Stance.LIMITS: "limits what it may do with your content",
            Stance.PROVIDER_OWNS: f"claims to own {_object(came)}",
        }.get(came.stance or Stance.GRANTS, "")
    assert went is not None  # a shift has at least one side
    return {
        Stance.GRANTS: "drops a licence to your content",
        Stance.USER_KEEPS: "no longer says that your rights stay yours",
        Stance.LIMITS: "drops a limit on what it may do with your content",
        Stance.PROVIDER_OWNS: f"no longer claims to own {_object(went)}",
    }.get(went.stance or Stance.GRANTS, "")


def _grant(finding: Finding) -> str:
    about_likeness = _object(finding) == _OBJECTS["likeness"]
    adjectives = _attributes(finding.attributes - {"likeness"} if about_likeness else finding.attributes)
    if finding.actor is Actor.THIRD_PARTY:
        return f"lets others use {_object(finding, 'your content')}"
    if finding.rule.endswith((".may-use", ".likeness")):  # the quote speaks of use, not of a licence
        purpose = next((words for name, words in _PURPOSES.items() if name in finding.attributes), "")
        return f"may use {_object(finding, 'your content')}{purpose and f' {purpose}'}"
    return f"takes a licence to {_object(finding, 'your content')}{f' ({adjectives})' if adjectives else ''}"


def _joined(shifts: Sequence[Shift], difference: object) -> frozenset[str]:
    found: set[str] = set()
    for shift in shifts:
        if shift.came and shift.went and shift.came.stance is Stance.GRANTS is shift.went.stance:
            found |= difference(shift.came, shift.went)  # type: ignore[operator]
    return frozenset(found)


def _attributes(names: frozenset[str]) -> str:
    ordered = [words for name, words in _ATTRIBUTES.items() if name in names]
    return ", ".join(ordered[:_MOST_ATTRIBUTES])


def _object(finding: Finding, default: str = "people's data") -> str:
    return next((words for name, words in _OBJECTS.items() if name in finding.objects), default)


def _day(day: date) -> str:
    return f"{day.day} {day:%b %Y}"
