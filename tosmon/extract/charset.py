"""Bytes to text: which encoding a page is really in.

Servers and pages contradict each other, and mojibake makes a false change of every apostrophe. So: a byte order mark,
then bytes that are valid UTF-8 beyond doubt, then what the header says, what the page says, and last a guess.
"""

from __future__ import annotations

import codecs
import re

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_HEADER = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_META = re.compile(rb"<meta[^>]{0,300}?charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_XML = re.compile(rb"^\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]+)", re.IGNORECASE)
_META_WITHIN = 4096
# What pages name and what they mean, after the WHATWG Encoding Standard: Latin-1 and ASCII are windows-1252.
_MEANT = {
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "us-ascii": "cp1252",
    "ascii": "cp1252",
    "windows-1252": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "ks_c_5601-1987": "cp949",
    "euc-kr": "cp949",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "x-sjis": "cp932",
    "big5": "big5hkscs",
    "utf-16": "utf-16-le",
}
_MULTIBYTE = ("cp932", "euc_jp", "gb18030", "cp949", "big5hkscs")


_GARBLE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufffd]")
_JUDGED = 200_000  # characters


def is_garbled(text: str) -> bool:
    """Whether a text is full of characters that nobody writes: a damaged file, or bytes of another kind.

    To be asked before they are dropped for not being seen. They tend to stand together, so any part may give it away.
    """
    parts = (text[start : start + 20_000] for start in range(0, min(len(text), _JUDGED), 20_000))
    return any(len(_GARBLE.findall(part)) > 0.05 * len(part) for part in parts if len(part) >= 20)


def decode(body: bytes, content_type: str | None = None) -> str:
    """The text of `body`. Never fails: what no encoding explains becomes U+FFFD."""
    for mark, name in _BOMS:
        if body.startswith(mark):
            return body[len(mark) :].decode(name, "replace")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return _decode_legacy(body, content_type)
    # All legacy encodings of more than one byte that are plain ASCII at the byte level escape it (ISO-2022-JP).
    if "\x1b$" in text and _named(body, content_type) == ["iso-2022-jp"]:
        return body.decode("iso-2022-jp", "replace")
    return _without_nulls(text) if "\0" in text[:512] else text


def _without_nulls(text: str) -> str:
    """UTF-16 without a mark is valid UTF-8 with every other character a NUL."""
    raw = text.encode("utf-8")
    if raw[1:512:2].count(0) > 200 and len(raw) % 2 == 0:
        return raw.decode("utf-16-le", "replace")
    if raw[0:512:2].count(0) > 200 and len(raw) % 2 == 0:
        return raw.decode("utf-16-be", "replace")
    return text


def _decode_legacy(body: bytes, content_type: str | None) -> str:
    named = _named(body, content_type)
    for name in named:
        if name != "utf-8":
            try:
                return body.decode(name)
            except UnicodeDecodeError:
                continue
    lenient = body.decode("utf-8", "replace")
    # A page in UTF-8 with some broken bytes (a cut character) stays UTF-8; its other characters prove it.
    broken = lenient.count("\ufffd")
    if broken * 20 < sum(character > "\x7f" for character in lenient) or (named[:1] == ["utf-8"] and broken <= 3):
        return lenient
    for name in (*(each for each in named if each != "utf-8"), _guess(body)):
        return body.decode(name, "replace")
    return lenient


def _named(body: bytes, content_type: str | None) -> list[str]:
    found = []
    header = _HEADER.search(content_type or "")
    if header:
        found.append(header[1])
    for pattern in (_META, _XML):
        match = pattern.search(body, 0, _META_WITHIN)
        if match:
            found.append(match[1].decode("ascii", "replace"))
    return [name for name in map(_python_name, found) if name]


def _python_name(label: str) -> str | None:
    name = label.strip().lower()
    name = _MEANT.get(name, name)
    try:
        return name if codecs.lookup(name).name != "utf-8" else "utf-8"
    except LookupError:
        return None


def _guess(body: bytes) -> str:
    """An encoding for bytes that nothing names: one of several bytes if they fit it, else windows-1252."""
    sample = body[:200_000]
    high = sum(byte > 0x7F for byte in sample)
    if high * 4 > len(re.sub(rb"<[^>]*>", b"", sample)):
        for name in _MULTIBYTE:
            try:
                sample[: len(sample) // 2 * 2].decode(name)
            except UnicodeDecodeError:
                continue
            return name
    return "cp1252"
