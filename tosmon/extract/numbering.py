"""The numbers that a browser draws before list items: contracts are cited by them, so they are part of the text."""

from __future__ import annotations

import re

from bs4 import Tag

_ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"),
    (50, "l"), (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip
_STYLES = {
    "lower-alpha": "a",
    "lower-latin": "a",
    "upper-alpha": "A",
    "upper-latin": "A",
    "lower-roman": "i",
    "upper-roman": "I",
    "decimal": "1",
    "decimal-leading-zero": "1",
}
_LARGEST = 10_000


class Numbering:
    """Counts through one list."""

    def __init__(self, kind: str, start: int, step: int, *, bulleted: bool) -> None:
        self._kind, self._next, self._step = kind, start, step
        self.bulleted = bulleted

    @classmethod
    def bullets(cls) -> Numbering:
        return cls("", 1, 1, bulleted=True)

    @classmethod
    def of(cls, element: Tag, items: int) -> Numbering:
        """The numbering of a list element: its `start`, `type`, `reversed` and inline list style."""
        if element.name != "ol":
            return cls.bullets()
        reversed_ = element.has_attr("reversed")
        start = _integer(element.get("start"))
        if start is None:
            start = items if reversed_ else 1
        return cls(_kind(element) or "1", start, -1 if reversed_ else 1, bulleted=False)

    def marker(self, item: Tag) -> str:
        """The mark that opens `item`: "-", "3.", "c." or "iii."; also counts it."""
        if self.bulleted:
            return "-"
        value = _integer(item.get("value"))
        if value is not None:
            self._next = value
        number, self._next = self._next, self._next + self._step
        return f"{_written(number, _kind(item) or self._kind)}."


def _integer(value: object) -> int | None:
    text = str(value or "").strip()
    return int(text) if re.fullmatch(r"[+-]?\d{1,6}", text) else None


def _kind(element: Tag) -> str | None:
    style = str(element.get("style") or "").partition("list-style:")[2]
    if style in _STYLES:
        return _STYLES[style]
    declared = str(element.get("type") or "").strip()
    return declared if declared in ("1", "a", "A", "i", "I") else None


def _written(number: int, kind: str) -> str:
    if kind == "1" or not 0 < number < _LARGEST:
        return str(number)
    text = _letters(number) if kind in "aA" else _roman(number)
    return text.upper() if kind.isupper() else text


def _letters(number: int) -> str:
    text = ""
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("a") + rest) + text
    return text


def _roman(number: int) -> str:
    text = ""
    for value, letters in _ROMAN:
        count, number = divmod(number, value)
        text += letters * count
    return text
