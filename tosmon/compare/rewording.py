"""Two wordings of one clause that differ, and yet say the same to a reader.

What `canonical` cannot know from one text: an address hidden on one side, a link shown by its address or by a label,
entries in another order, menus run into a paragraph. Each answer is a reason in plain words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tosmon.clauses import QUANTITY, canonical, words
from tosmon.compare.wording import edits
from tosmon.model import Clause, ClauseKind, EditKind

__all__ = ["Pair", "harmless", "hides_address", "respelled", "unnumbered", "without_addresses"]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two wordings of a clause, and what stands between the first and the last sign that differs."""

    old: Clause
    new: Clause
    old_middle: str
    new_middle: str
    around: str
    """The middle of the old text with what stands next to it, in which links and menus show."""
    old_start: str
    new_start: str
    """A few letters of each side around the first difference."""

    @classmethod
    def of(cls, old: Clause, new: Clause) -> Pair:
        before, after = old.text, new.text
        first = head = _common_start(before, after)
        tail = min(_common_start(before[::-1], after[::-1]), len(before) - head, len(after) - head)
        start, end = max(0, head - _NEAR), len(before) - tail + _NEAR
        # A cut inside a word or a number would leave halves: take the whole of it.
        while head and before[head - 1].isalnum():
            head -= 1
        while tail and before[-tail].isalnum():
            tail -= 1
        low, high = max(0, first - _PHRASE), first + _PHRASE
        return cls(
            old,
            new,
            before[head : len(before) - tail],
            after[head : len(after) - tail],
            before[start:end],
            before[low:high],
            after[low:high],
        )


_NEAR = 80
_PHRASE = 14


def _common_start(left: str, right: str) -> int:
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def harmless(pair: Pair) -> str | None:
    """Why nobody needs to be told of this rewording, or `None` when it is a real one."""
    return next((reason for reason, alike in _WAYS if alike(pair)), None)


# --- addresses that one side hides ---------------------------------------------------------------------------------

_HIDING = re.compile(r"mail[\s\u00a0]{0,3}protected", re.IGNORECASE)
_HIDDEN = re.compile(
    r"(?<![\w.+-])[\w.+-]{0,40}\[?\\?\[?[\w.+-]{0,40}\\?\[?e-?mail[\s\u00a0]{0,3}protected\\?\]?[\w.@+-]{0,64}"
    r"(?:\[?[\w.@+-]{1,64}\]?)?\]?(?:(?<=\])\([^()\s]*\))?(?:\[[\w.@+-]{1,64}\]\([^()\s]*\))?[\w.@+-]{0,64}",
    re.IGNORECASE,
)
_SHOWN = re.compile(r"\[?[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+(?:\]\([^()]*\))?")


def _hides_addresses(pair: Pair) -> bool:
    before, after = pair.old.text, pair.new.text
    if not (_HIDING.search(before) or _HIDING.search(after)):
        return False
    masked_before, shown_before = _masked(before)
    masked_after, shown_after = _masked(after)
    if canonical(masked_before) != canonical(masked_after):
        return False
    return len(shown_before) != len(shown_after) or all(
        a == b or None in (a, b) for a, b in zip(shown_before, shown_after, strict=True)
    )


def hides_address(clause: Clause) -> bool:
    return _HIDING.search(clause.text) is not None


def without_addresses(clause: Clause) -> str:
    """The canonical text without e-mail addresses, shown or hidden."""
    return canonical(_masked(clause.text)[0])


def _masked(text: str) -> tuple[str, list[str | None]]:
    """The text without addresses, and the addresses: `None` for a hidden one."""
    shown: list[str | None] = []
    parts, at = [], 0
    found = sorted([*_HIDDEN.finditer(text), *_SHOWN.finditer(text)], key=lambda match: (match.start(), -match.end()))
    for match in found:
        if match.start() < at:
            continue
        hidden = _HIDING.search(match[0]) is not None
        shown.append(None if hidden else canonical(match[0].split("](")[0]))
        parts += [text[at : match.start()], " "]
        at = match.end()
    return "".join((*parts, text[at:])), shown


# --- links --------------------------------------------------------------------------------------------------------

_LINK = re.compile(r"\[(?P<text>[^\[\]]*)\]\((?P<target>[^()\s]*(?:\([^()\s]*\)[^()\s]*)*)(?:\s[^()]*)?\)")
_URL = re.compile(r"(?:https?://|www\.)[^\s<>\[\]()|]+")
_ARCHIVE_LINK = re.compile(
    r"\[[^\[\]]{0,80}\b(?:prior|previous|past|archived?|earlier|older)\b[^\[\]]{0,80}\]\([^()]*\)", re.IGNORECASE
)
_POINTER = re.compile(
    r"(?:please\s+)?(?:(?:visit|see|view|go\s+to|click|tap)\s+)?\[(?:\W*(?:click\s+)?here\W*"
    r"|[^\[\]]{1,40})\]\([^()]*\)\W*",
    re.IGNORECASE,
)
_LINKED = re.compile(r"\]\(|https?:|www\.|\bnew (?:window|tab)")
_BY_A_LINK = re.compile(r"\b(?:prior|previous|past|archive|earlier|older)|\b(\w+)\s*\[\1\]\(", re.IGNORECASE)
_NEW_WINDOW = re.compile(
    r"\W*\bopens?\s+in\s+(?:a\s+)?new\s+(?:window|tab)(?:\s+or\s+tab)?\W*|\(new\s+window\)", re.IGNORECASE
)
_TWICE = re.compile(r"\b(\w+)\s*\[\1\]\(", re.IGNORECASE)


def _shows_links_otherwise(pair: Pair) -> bool:
    before, after = pair.old.text, pair.new.text
    if not (_LINKED.search(pair.old_middle) or _LINKED.search(pair.new_middle)) and not (
        "](" in pair.around and _BY_A_LINK.search(pair.around)
    ):
        return False
    return canonical(_linked(before, after)) == canonical(_linked(after, before))


def _linked(text: str, other: str) -> str:
    """The text without what only points: visible addresses that the other links to, archive links, doubled labels."""
    targets = {canonical(link["target"]) for link in _LINK.finditer(other)}
    text = _NEW_WINDOW.sub(" ", _ARCHIVE_LINK.sub(" ", _TWICE.sub(r"[\1](", text)))
    plain = _LINK.sub(_shown, text)
    return _URL.sub(lambda url: " " if canonical(url[0]) in targets else url[0], plain)


_HOST = re.compile(r"https?://(?:[\w-]+\.)*?([\w-]+\.[a-z]{2,})(?:[/?#]|$)", re.IGNORECASE)


def _shown(link: re.Match[str]) -> str:
    """A link's text; when that is its own address, the name of the site: where on it the link leads is its target."""
    host = _HOST.match(link["text"].strip().replace("\\", ""))
    return host[1] if host else link["text"]


def _only_pointers_differ(pair: Pair) -> bool:
    if "](" not in pair.old_middle and "](" not in pair.new_middle:
        return False
    runs = [edit.text.strip() for edit in edits(pair.old.text, pair.new.text) if edit.kind is not EditKind.SAME]
    return all(not canonical(run) or _is_pointer(run) for run in runs)


def _is_pointer(run: str) -> bool:
    return _POINTER.fullmatch(run) is not None and (
        re.match(r"\W*(?:please\s+)?(?:visit|see|view|go|click|tap|\[\W*(?:click\s+)?here)", run, re.IGNORECASE)
        is not None
    )


# --- order, numbering, counters, glued menus -----------------------------------------------------------------------

_ENTRIES = re.compile(r"\||<br ?/?>|[,;\n]|\s[-–•·]\s")
# "1.5 million users", "15. November 2024", "30 days": what looks like a marker is part of the sentence.
_NUMBER = re.compile(
    r"[\s*_\[#>(]*(?:(?:section|article|clause|chapter|part|schedule|artikel|abschnitt|art\.|§)\s*)?"
    r"\d{1,3}(?:\.\d{1,3})*(?!\d)(?P<sign>[\s*_\]\\]*[.:)–-])?[\s.:)\]*_\\–-]*",
    re.IGNORECASE,
)


def unnumbered(clause: Clause) -> str:
    """The canonical text without the number that opens it: in a heading also one glued to the first word."""
    number = _NUMBER.match(clause.text)
    if number is None or QUANTITY.match(clause.text, number.end()):
        return canonical(clause.text)
    if clause.kind is not ClauseKind.HEADING and not number["sign"]:
        return canonical(clause.text)
    rest = canonical(clause.text[number.end() :])
    return rest if any(map(str.isalpha, rest)) else canonical(clause.text)


_COUNTED = re.compile(
    r"oldid|retrieved from|\bviews?\b|found this helpful|\bvotes?\b|\bcomments?\b|\blikes?\b|©|\(c\)|copyright"
    r"|all rights reserved|\bratings?\b|\breviews?\b|\bmembers? online\b",
    re.IGNORECASE,
)
_DIGIT = re.compile(r"\d")
_GLUED = re.compile(r"[a-z][A-Z][a-z]")


_SEPARATORS = 12  # so many signs may differ between two orders of the same entries


def _reorders_entries(pair: Pair) -> bool:
    if abs(len(pair.old_middle) - len(pair.new_middle)) > _SEPARATORS:
        return False
    if sorted(filter(str.isalnum, pair.old_middle)) != sorted(filter(str.isalnum, pair.new_middle)):
        return False
    left, right = _entries(pair.old.text), _entries(pair.new.text)
    return left == right and (pair.new.kind is ClauseKind.ROW or left.total() >= 5)


def _entries(text: str) -> Counter[str]:
    return Counter(filter(None, map(canonical, _ENTRIES.split(text))))


def _renumbers(pair: Pair) -> bool:
    if len(pair.new.text) > _A_TITLE or not (_DIGIT.search(pair.old_middle) or _DIGIT.search(pair.new_middle)):
        return False
    return unnumbered(pair.old) == unnumbered(pair.new)


_A_TITLE = 160


def _counts(pair: Pair) -> bool:
    if not (_DIGIT.search(pair.old_middle) and _DIGIT.search(pair.new_middle)) or len(pair.new.text) > 600:
        return False
    if not (_COUNTED.search(pair.old.text) and _COUNTED.search(pair.new.text)):
        return False
    runs = [edit.text for edit in edits(pair.old.text, pair.new.text) if edit.kind is not EditKind.SAME]
    return all(re.fullmatch(r"[\d.,\s–-]*", run) for run in runs)


def _menus_glued(pair: Pair) -> bool:
    if not _GLUED.search(pair.around) or min(len(_GLUED.findall(text)) for text in (pair.old.text, pair.new.text)) < 12:
        return False
    found = edits(pair.old.text, pair.new.text)
    for number, edit in enumerate(found):
        if edit.kind is EditKind.SAME:
            continue
        near = "".join(
            part.text[-60:] if k < number else part.text[:60]
            for k, part in enumerate(found)
            if 0 < abs(k - number) <= 2
        )
        if re.search(r"[.;:]\s", edit.text) or not _GLUED.search(edit.text + " " + near):
            return False
    return True


_WAYS = (
    ("an e-mail address is hidden on one side", _hides_addresses),
    ("only links are shown otherwise", _shows_links_otherwise),
    ("only the order of entries differs", _reorders_entries),
    ("only numbering differs", _renumbers),
    ("a counter moved on", _counts),
    ("a menu run into the text changed", _menus_glued),
    ("only pointers to other pages differ", _only_pointers_differ),
)


# --- another region's spelling -------------------------------------------------------------------------------------

_SPELLINGS = (
    (re.compile(r"(?<=[a-z]{2})is(?=(?:e|ed|es|er|ers|ing|ation|ations|able)$)"), "iz"),
    (re.compile(r"(?<=l)ys(?=(?:e|ed|es|er|ers|ing)$)"), "yz"),
    (re.compile(r"(?<=[a-z]{2})our(?=(?:s|ed|ing|able|ite|ites|hood|hoods|al|ful|ably)?$)"), "or"),
    (re.compile(r"(?<=t)re(?=s?$)"), "er"),
    (re.compile(r"(?<=[a-z]{3})ence(?=[sd]?$)"), "ense"),
    (re.compile(r"(?<=practi)s(?=e)"), "c"),
    (re.compile(r"(?<=[a-z])ll(?=(?:ed|ing|er|ers|ation|or)$)"), "l"),
    (re.compile(r"(?<=program)me(?=s?$)"), ""),
    (re.compile(r"(?<=judg|ledg)e(?=ments?$)"), ""),
    (re.compile(r"(?<=log)ue(?=s?$)"), ""),
)
_WEIGHTY = frozenset(
    # Swapped or dropped, these turn a sentence round.
    re.findall(
        r"\w+",
        "not no never none without must shall may cannot cant can will wont dont only unless except all any sell"
        " share train",
    )
)


def respelled(pairs: Iterable[Pair]) -> bool:
    """Whether these rewordings are one text in another region's English.

    Editors of such pages also differ in small words ("like", "such as"); so at least three different words must change
    their spelling in one direction, the rest be little, nothing weighty or numeric be among it, and nothing but small
    words come or go without another in its place.
    """
    spelled: set[tuple[str, str]] = set()
    directions = set()
    others = 0
    for pair in pairs:
        left, right = Counter(words(pair.old.text)), Counter(words(pair.new.text))
        gone, come = left - right, right - left
        if any(word in _WEIGHTY or _DIGIT.search(word) for word in (*gone, *come)):
            return False
        neutral = {_neutral(word): word for word in come}
        for word in list(gone):
            if twin := neutral.get(_neutral(word)):
                directions.add((_neutral(word) == word) - (_neutral(twin) == twin))
                spelled.add((word, twin))
                del gone[word], come[twin]
        if not (gone and come) and not _LITTLE.issuperset((*gone, *come)):
            return False
        if max(gone.total(), come.total()) > _A_SENTENCE:
            return False
        others += max(gone.total(), come.total())
        if others > 3 * len(spelled) + _SLACK:
            return False
    return len(spelled) >= 3 and len(directions) == 1 and others <= 3 * len(spelled)


_LITTLE = frozenset(
    re.findall(
        r"\w+",
        "a an the that which to of in on for as is are be have has had also and or so please such like it its this these"
        " their from with at",
    )
)
_A_SENTENCE = 6  # so many other words in one clause are an edit of their own
_SLACK = 12  # so many other words may come before the first one that is spelled otherwise


def _neutral(word: str) -> str:
    for pattern, plain in _SPELLINGS:
        word = pattern.sub(plain, word)
    return word
