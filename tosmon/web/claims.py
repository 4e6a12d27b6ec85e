"""Stances with their words, as markup: what the table, the profiles and a service's page show many times over.

Functions and not template macros, and remembered: a table shows a thousand quotes, which hardly ever change. Whatever
comes from a platform or from somebody's rules is escaped here; answers are words of ours.
"""

from __future__ import annotations

from functools import lru_cache

from markupsafe import Markup, escape

from tosmon.clauses import plain
from tosmon.judge.profile import SILENT, Aspect, Cell, Held
from tosmon.judge.profile import answer as answer_to
from tosmon.model import Direction, Stance
from tosmon.publish.links import change_path, version_path
from tosmon.publish.text import line, visible
from tosmon.publish.words import DIRECTION, day

_QUOTE, _HOVER = 420, 240
_MOST = 4  # quotes behind one answer of the table; all of them stand on the service's page


@lru_cache(maxsize=20_000)
def words(quote: str, most: int = _QUOTE) -> str:
    """A quote as people read it: without Markdown's marks, on one line."""
    return line(plain(quote.replace("<br>", " ")), most)


def sign(tone: Direction) -> Markup:
    return Markup(f'<span aria-hidden="true">{DIRECTION[tone][0]}</span>')


def place(held: Held) -> str:
    """Where the quote stands, since it does."""
    return f"{version_path(held.version_id)}#p{held.clause + 1}"


def since(held: Held) -> Markup:
    """Since when the stance stands, in whatever words; or from when, if it is only announced."""
    on = day(held.since)
    if held.starts:
        announced = (
            f'<a href="{change_path(held.change_id)}">announced {on}</a>' if held.change_id else f"announced {on}"
        )
        return Markup(f"from {day(held.starts)}, {announced}")
    if held.from_first:
        return Markup(
            f'<span title="It stands in the first text we have, so it may be older">since {on} or before</span>'
        )
    if held.change_id:
        return Markup(f'<a href="{change_path(held.change_id)}">since {on}</a>')
    return Markup(f"since {on}")


def stands(held: Held) -> Markup:
    """Since when the stance stands, and since when in these words, where that is later."""
    if held.begun is None:
        return since(held)
    words_since = f"since {day(held.begun)}"
    if held.begun_change_id:
        words_since = f'<a href="{change_path(held.begun_change_id)}">{words_since}</a>'
    what = "takes a licence" if held.stance is Stance.GRANTS and held.aspect == "licence" else "says so"
    return Markup(f"in these words {words_since}; {what} {since(held)}")


@lru_cache(maxsize=20_000)
def said(held: Held) -> Markup:
    """The exact words, the document and heading they stand under, since when, and the change that brought them."""
    quote = escape(f"“{words(held.quote)}”")
    if not held.quote:
        quote = Markup('<span class="quiet">The words were taken out of this archive.</span>')
    title = line(held.headings[-1], 60) if held.headings else ""
    heading = f", <bdi>{escape(title)}</bdi>" if title and title.casefold() != held.key.type.casefold() else ""
    document = f'<a href="{place(held)}"><bdi>{escape(visible(held.key.type))}</bdi></a>'
    return Markup(
        f'<blockquote class="said" dir="auto">{quote}</blockquote>\n'
        f'<p class="from">{document}{heading} · {stands(held)}</p>\n'
    )


def side(aspect: str, stance: Stance) -> Markup:
    """Which of several answers a quote gives."""
    return Markup(f'<p class="side-name">{answer_to(aspect, stance)}</p>\n')


def silence(cell: Cell) -> Markup:
    """That nothing is said, and what was promised before, with what took it away."""
    if cell.gone is None:
        return Markup(cell.answer)
    href = change_path(cell.gone.change_id) if cell.gone.change_id else version_path(cell.gone.version_id)
    return Markup(f'{SILENT} <a class="gone" href="{href}">({cell.gone.words})</a>')


def answer(cell: Cell) -> Markup:
    """An answer that opens to its words."""
    if cell.tone is None:
        if cell.read:
            return Markup(f'<span class="answer silent">{silence(cell)}</span>')
        why = "No rule of ours reads this in the language of its documents"
        return Markup(f'<span class="answer silent" title="{why}">Not read</span>')
    also = "".join(f' <span class="also">also: {lowered(more)}</span>' for more in cell.also)
    key = cell.aspect.key
    quotes = "".join((side(key, one.stance) if cell.several else "") + said(one) for one in cell.held[:_MOST])
    title = escape(words(cell.held[0].quote, _HOVER))
    word, later = _parted(cell)
    return Markup(
        f'<details class="answer {cell.tone.value}" name="answer">'
        f'<summary title="{title}">{sign(cell.tone)} <strong>{word}</strong>{later}{also}</summary>\n'
        f'<div class="opened">{quotes}</div></details>'
    )


def _parted(cell: Cell) -> tuple[str, str]:
    """An answer's word, and from when it is to hold."""
    word = answer_to(cell.aspect.key, cell.held[0].stance)
    return word, cell.answer.removeprefix(word)


def brief(cell: Cell) -> Markup:
    """An answer in a line, without its words."""
    if cell.tone is None:
        return Markup(f'<span class="quiet">{silence(cell)}</span>')
    also = "".join(f' <span class="quiet">also: {lowered(more)}</span>' for more in cell.also)
    said, later = _parted(cell)
    word = f'<strong class="answer-word {cell.tone.value}">{sign(cell.tone)} {said}</strong>{later}'
    if later:
        return Markup(f"{word}{also}")
    return Markup(f"{word}{also}, {since(cell.held[0])}")


def lowered(said: str) -> str:
    """An answer within a sentence: months keep their capitals."""
    return said[:1].lower() + said[1:]


@lru_cache(maxsize=100)
def _chip(aspect: Aspect) -> Markup:
    return Markup(f'<span class="chip {aspect.tone.value}">{escape(visible(aspect.name))}</span>')


def chip(cell: Cell) -> Markup:
    return _chip(cell.aspect)


def dated(cell: Cell) -> Markup:
    """One point of a licence, and since when it is claimed."""
    return Markup(f'{_chip(cell.aspect)} <span class="from-when">{since(cell.held[0])}</span>')


def covers(attributes: tuple[Cell, ...], quotes: list[tuple[Held, list[Aspect]]]) -> Markup:
    """What a licence covers in a few words, that open to the sentences that say so."""
    chips = " ".join(chip(cell) for cell in attributes[:5])
    if len(attributes) > 5:
        chips += f' <span class="chip more">+{len(attributes) - 5}</span>'
    if not attributes:
        chips = '<span class="chip neutral">a licence, no more said</span>'
    sentences = "".join(named(covered) + said(held) for held, covered in quotes[:_MOST])
    return Markup(
        f'<details class="answer plain" name="answer"><summary>{chips}</summary>\n'
        f'<div class="opened">{sentences}</div></details>'
    )


def named(covered: list[Aspect]) -> Markup:
    """The attributes that a sentence says."""
    if not covered:
        return Markup("")
    return Markup(f'<p class="side-name">{escape(" · ".join(visible(aspect.name) for aspect in covered))}</p>\n')


def mark(cell: Cell, href: str) -> Markup:
    """One point of a licence, with its words on hover."""
    held = cell.held[0]
    from_when = held.answer if held.starts else f"Yes, since {day(held.since)}"
    title = escape(f"{cell.aspect.question} {from_when}: “{words(held.quote, _HOVER)}”")
    label = escape(visible(cell.aspect.name))
    return Markup(
        f'<a href="{escape(href)}" title="{title}" data-label="{label}">'
        '<span aria-hidden="true">✓</span><span class="cue">Yes</span></a>'
    )
