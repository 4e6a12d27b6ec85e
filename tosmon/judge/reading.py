"""See a clause as rules read it: plain lower-case words, sentence by sentence, every letter traceable to its source.

Rules must not care for Markdown, curly quotes, accents or line breaks, and yet a finding's quote must be an exact
substring of the version. So the text is folded to ASCII piece by piece and remembers where each piece came from.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass

# A run without a full stop (a table, a hostile page) is read in pieces of this many letters.
_LONGEST = 4000

# What vanishes or becomes one sign before reading: link targets, images, emphasis, escapes, tags, runs of white space,
# addresses (whose words say nothing, least of all the top-level domain of Anguilla).
_MARKS = re.compile(
    r"(?=[!\]\[*_`\\<\u200b-\u200f\u2060\ufeff\u00ad \t\u00a0:@.])(?:"
    r"!\[[^\]\n]*\]\([^()\s]*(?:\([^()\s]*\)[^()\s]*)*\)"
    r"|\]\((?:[^()\s]|\([^()\s]*\))*(?:\s+\"[^\"\n]*\")?\)|\[(?=[^\]\n]*\]\()"
    r"|\*\*+|__+|(?<![\w*])\*(?=\S)|(?<=\S)\*(?![\w*])|(?<!\w)_(?=\S)|(?<=\S)_(?!\w)|`"
    r"|\\(?=[\\`*_{}\[\]()#+\-.!|>~&])|</?[a-zA-Z][^<>\n]{0,200}>|[\u200b-\u200f\u2060\ufeff\u00ad]|[ \t\u00a0]{2,}"
    r"|://[^\s<>\])\"]+|(?<=\S)@[\w-]+\.[\w.-]*\w|(?<=\w)\.ai\b(?:/\S*)?)"
)
_LINE = re.compile(r"[ \t]*\n[ \t\n]*")
_ITEM = re.compile(
    r"(?:>\s*)*(?:[-*+•‣◦–|#]+\s|\(?(?:\d{1,3}(?:\.\d{1,3})*|[a-zA-Z]|[ivxIVX]{1,5})\\?[.)]\s|\*\*|\\-|:\s?---)"
)
_STOP = re.compile(r"[.!?]+[\"'”’)\]]*\s+(?=[\"'“‘(\[]*(?:[A-Z0-9À-ÞЀ-Я]|[a-z]+[A-Z]))|[。!?](?=\S)|\n")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|cf|inc|ltd|corp|co|llc|no|nr|art|sec|para|mr|mrs|ms|dr|st|u\.s|u\.k|e\.u|z\.b|bzw|ggf|ca"
    r"|p\. ?ex|ex|p\.ej|sig|sr|lit|abs|bros|vol|fig|approx|dept|est|jr|rev|gen|pty|s\.a|gmbh|al)"
    r"|(?:^|[\s(])[a-z]|(?:^|\s)(?:\d{1,3}\.)*\d{1,3})\.[\"'”’)\]]*\s*$",
    re.IGNORECASE,
)


_COMPANY = re.compile(r"\b(?:inc|ltd|corp|co|llc|gmbh|s\.a|pty|bros|etc)\.$", re.IGNORECASE)
_OPENER = re.compile(
    r"(?:Any|All|The|This|These|Those|You|Your|We|Our|It|If|In|For|By|No|Nothing|Such|Each|To|Unless|When|Where|However"
    r"|They|There|As|At|Other|Please|Use|Users|Without|Subject|Except|Under|Upon|Neither|Notwithstanding|Customer)\b"
)

_PLAIN = dict(zip("ßœŒæÆøØłŁđĐ", "soOaAoOlLdD", strict=True))


class _Folding(dict[int, str]):
    """Each letter's one ASCII letter; what has none becomes `?`, so that no offset ever shifts."""

    def __missing__(self, code: int) -> str:
        letter = chr(code)
        base = unicodedata.normalize("NFKD", letter)[0]
        if letter in "‘’‚‛′´ʼ`":
            base = "'"
        elif letter in "“”„‟″«»":
            base = '"'
        elif unicodedata.category(letter) == "Pd":
            base = "-"
        elif letter in _PLAIN:
            base = _PLAIN[letter]
        elif letter.isspace():
            base = " "
        elif letter in "•·●▪◦":
            base = "*"
        self[code] = folded = base.lower() if base.isascii() else "?"
        return folded


_FOLDED = _Folding({code: chr(code).lower() for code in range(128)})

# A maker's or product's name that ends in AI ("Acme AI") says nothing about AI; "Generative AI" and "the AI model" do.
_NAME_WITH_AI = re.compile(
    r"(?<![\w-])(?:[A-Z][a-z]+|[A-Z]{2,}[a-z]*)[ \u00a0]A\.?I\b(?![-/]|[ \u00a0](?:Act\b|[Mm]odel|[Ss]ystem|[Tt]echnolog"
    r"|[Tt]ool|[Ff]eature|[Aa]ssist|[Ii]nteract|[Aa]gent|[Cc]ompanion|[Oo]verview|[Oo]utput|[Cc]ontent|[Tt]rain|[Gg]enerat"
    r"|[Cc]apabilit|[Ff]unction|[Rr]esearch|product|service|[Pp]olic|[Pp]rinciple|chat|search|bot|software|solution"
    r"|provider|compan|experience))"
)
_COMMON_BEFORE_AI = """
A About All An And Any As By Conversational Creative For From Generative How If In Is Its New No Of On Or Our
Other Responsible Such That The Their These This To Trustworthy Use Using Via We What When Where Which With
You Your EU General Agentic Ethical Automated Third Advanced Embedded Predictive Applied Training OUR THE YOUR
USE GENERATIVE OF AND OR FOR WITH
"""
_NO_NAME = frozenset(_COMMON_BEFORE_AI.split())

# Words of negation that negate nothing here; they lose their letters, so that no pattern has to know.
_NO_NEGATION = re.compile(r"\bnot (?=limited to|only\b|necessarily)|\bor not\b|\bwithout (?=limit)|\bno (?=matter)")


def fold(text: str) -> str:
    """Lower-case ASCII of the same length."""
    return text.translate(_FOLDED)


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of a clause: `text` as rules read it; `start` is its place in the plain text."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class Reading:
    """A clause in plain folded words, with its sentences and the way back to the source."""

    plain: str
    sentences: tuple[Sentence, ...]
    _plain_starts: tuple[int, ...]
    _source_starts: tuple[int, ...]

    def source_span(self, start: int, end: int) -> tuple[int, int]:
        """Offsets in the source of a span of the plain text (not empty)."""
        return self._source(start), self._source(end - 1) + 1

    def _source(self, position: int) -> int:
        piece = bisect_right(self._plain_starts, position) - 1
        return self._source_starts[piece] + position - self._plain_starts[piece]


def read(text: str) -> Reading:
    """Fold a clause's text and cut it into sentences. List items and lines of their own are sentences too."""
    pieces: list[str] = []
    plain_starts: list[int] = []
    source_starts: list[int] = []
    length = 0

    def keep(start: int, end: int, instead: str | None = None) -> None:
        nonlocal length
        piece = text[start:end] if instead is None else instead
        if piece:
            pieces.append(piece)
            plain_starts.append(length)
            source_starts.append(start)
            length += len(piece)

    done = 0
    for start, end, instead in _cuts(text):
        if start < done:
            continue
        keep(done, start)
        keep(start, end, instead)
        done = end
    keep(done, len(text))
    plain = "".join(pieces)
    if " AI" in plain or " A.I" in plain:
        plain = _NAME_WITH_AI.sub(_without_ai, plain)
    folded = _NO_NEGATION.sub(lambda found: "x" * (len(found[0]) - 1) + found[0][-1], plain.translate(_FOLDED))
    return Reading(folded, tuple(_sentences(plain, folded)), tuple(plain_starts) or (0,), tuple(source_starts) or (0,))


def _cuts(text: str) -> list[tuple[int, int, str]]:
    """What is not read as it stands: (start, end, what stands instead)."""
    cuts = []
    for mark in _MARKS.finditer(text):
        opener = mark[0][0]
        cuts.append((mark.start(), mark.end(), " " if opener in " \t\u00a0" else "@" if opener in ":@." else ""))
    if "\n" in text:
        for line in _LINE.finditer(text):
            own = "\n\n" in line[0].replace(" ", "") or _ITEM.match(text, line.end()) is not None
            cuts.append((line.start(), line.end(), "\n" if own else " "))
        cuts.sort()
    return cuts


def _without_ai(found: re.Match[str]) -> str:
    name = found[0]
    return name if name.split()[0] in _NO_NAME else name[:-2] + "xx"


def _sentences(plain: str, folded: str) -> list[Sentence]:
    found: list[Sentence] = []
    start = 0
    for stop in _STOP.finditer(plain):
        if stop[0] != "\n" and _abbreviated(plain, start, stop):
            continue
        _add(found, folded, start, stop.end())
        start = stop.end()
    _add(found, folded, start, len(folded))
    return found


def _abbreviated(plain: str, start: int, stop: re.Match[str]) -> bool:
    """Whether a full stop ends a word only: not where a company's name ends the sentence ("… of Acme Inc. Any use …")."""
    before = plain[max(start, stop.start() - 12) : stop.start() + 1]
    if _COMPANY.search(before) and _OPENER.match(plain, stop.end()):
        return False
    return _ABBREVIATION.search(before) is not None


def _add(found: list[Sentence], folded: str, start: int, end: int) -> None:
    while end - start > _LONGEST:
        cut = folded.rfind(" ", start + _LONGEST // 2, start + _LONGEST)
        cut = cut if cut > 0 else start + _LONGEST
        _add(found, folded, start, cut)
        start = cut
    text = folded[start:end]
    bare = text.strip()
    if bare:
        found.append(Sentence(bare, start + text.index(bare[0])))
