"""How texts and versions are packed into the archive's columns.

The first byte says how the rest is coded, so that another coding needs no migration. A clause alone is too short to
compress well, so two kinds of help are at hand: a dictionary that was trained on the archive's own clauses, and, for a
reworded clause, the clause that it came from. The second costs a few dozen bytes for a sentence that lost a word.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from threading import local
from typing import TYPE_CHECKING, Final

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_PLAIN, _ZSTD, _BY_DICTIONARY, _BY_CLAUSE, _NARROW = b"\x00", b"\x01", b"\x02", b"\x03", b"\x04"
WITHDRAWN: Final = b"\x7f"
"""What stands in the place of a text that was withdrawn."""
_WORTH_IT = 120  # bytes: a shorter clause grows under zstd
_MOST = 256 * 1024 * 1024  # no text of ours comes near; a damaged header must not ask for all memory
_LEVEL = (
    12  # on 22,000 clauses with a dictionary: 8 % smaller than level 6 in twice its time; 19 takes ten times as long
)
_MARK = 3  # bytes of a dictionary's digest by which a text names it
_thread = local()


def digest(text: str) -> bytes:
    """The 16 bytes that a clause is known by: half of its SHA-256 (chance collisions of 2**32 clauses: 2**-65)."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]


# --- texts -------------------------------------------------------------------------------------------------------


class UnknownDictionary(ValueError):
    """The text was packed with a dictionary that this process has not read yet."""


@dataclass(frozen=True)
class Dictionary:
    """A trained dictionary, and the mark by which texts name it."""

    mark: bytes
    body: bytes

    @classmethod
    def of(cls, body: bytes) -> Dictionary:
        return cls(hashlib.sha256(body).digest()[:_MARK], body)


_known: dict[bytes, zstd.ZstdDict] = {}


def know(body: bytes) -> Dictionary:
    """Make a stored dictionary known to this process: texts that were packed with it can be read from now on."""
    dictionary = Dictionary.of(body)
    if dictionary.mark not in _known:
        _known[dictionary.mark] = zstd.ZstdDict(body)
    return dictionary


def train(texts: Iterable[str], size: int) -> Dictionary | None:
    """A dictionary of at most `size` bytes for texts like these; `None` when there are too few of them."""
    samples = [text.encode("utf-8", "surrogatepass") for text in texts]
    if len(samples) < 200 or sum(map(len, samples)) < 4 * size:
        return None
    try:
        return know(zstd.train_dict(samples, size).dict_content)
    except zstd.ZstdError:  # says no more than that the samples are not fit for it; then it goes without
        return None


def pack_text(text: str, dictionary: Dictionary | None = None) -> bytes:
    raw = text.encode("utf-8", "surrogatepass")
    if dictionary is not None:
        packed = _BY_DICTIONARY + dictionary.mark + _compressor(dictionary.mark).compress(raw, _END)
    elif len(raw) >= _WORTH_IT:
        packed = _ZSTD + _compressor(None).compress(raw, _END)
    else:
        return _PLAIN + raw
    return packed if len(packed) <= len(raw) else _PLAIN + raw


def pack_against(text: str, base: str) -> bytes:
    """The text as what differs from another; `by_clause` makes a column of it, once that one's id is known."""
    raw = text.encode("utf-8", "surrogatepass")
    return zstd.compress(raw, options=_SPARSE, zstd_dict=_prefix(base).as_prefix)


def by_clause(base_id: int, packed: bytes) -> bytes:
    """A text that was packed against the clause with that id."""
    return _BY_CLAUSE + _number(base_id) + packed


def stands_alone(coding: bytes) -> bool:
    """Whether a text with that first byte can be read without another, and others be packed against it."""
    return coding not in (_BY_CLAUSE, WITHDRAWN)


def base_of(blob: bytes) -> int | None:
    """The id of the clause that a text was packed against, if it was."""
    return _read_number(blob, 1)[0] if blob[:1] == _BY_CLAUSE else None


def unpack_text(blob: bytes, bases: Mapping[int, str] | None = None) -> str:
    """The text; `bases` has those of the clauses that it may have been packed against.

    Raises UnknownDictionary, and ValueError for what is damaged. A withdrawn text is empty.
    """
    if blob[:1] == _BY_CLAUSE:
        base_id, start = _read_number(blob, 1)
        if bases is None or base_id not in bases:
            raise ValueError(f"clause {base_id}, on which another is built, is missing")
        return _decoded(zstd.ZstdDecompressor(_prefix(bases[base_id]).as_prefix), blob[start:])
    return _unpack(blob).decode("utf-8", "surrogatepass")


def _decoded(decompressor: zstd.ZstdDecompressor, packed: ReadableBuffer) -> str:
    return _whole(decompressor, packed).decode("utf-8", "surrogatepass")


def _whole(decompressor: zstd.ZstdDecompressor, packed: ReadableBuffer) -> bytes:
    try:
        raw = decompressor.decompress(packed, max_length=_MOST)
    except zstd.ZstdError as error:
        raise ValueError(f"damaged: {error}") from error
    if not decompressor.eof or decompressor.unused_data:
        raise ValueError("damaged: a packed text that does not end where it should")
    return raw


def _unpack(blob: bytes) -> bytes:
    coding = blob[:1]
    if coding == _PLAIN:
        return blob[1:]
    if coding == _ZSTD:
        return _whole(zstd.ZstdDecompressor(), blob[1:])
    if coding == _BY_DICTIONARY:
        known = _known.get(blob[1 : 1 + _MARK])
        if known is None:
            raise UnknownDictionary(f"the archive has no dictionary {blob[1 : 1 + _MARK].hex()}: it is damaged")
        return _whole(zstd.ZstdDecompressor(known), blob[1 + _MARK :])
    if coding == WITHDRAWN:
        return b""
    raise ValueError(f"unknown coding {coding!r}: the archive is damaged or was written by a newer tosmon")


# --- versions ----------------------------------------------------------------------------------------------------

_TYPES = "bhiq"  # from one byte to eight


def pack_ids(rows: Sequence[tuple[int, int]]) -> bytes:
    """Pack the (clause id, layout id) of a version, in order.

    Neighbours tend to have been recorded together, so ids are kept as steps from the one before: runs of ones. Each of
    the two columns is as wide as its widest step.
    """
    columns = [_steps([row[column] for row in rows]) for column in range(2)]
    raw = b"".join([column.typecode.encode() + _little(column) for column in columns])
    return _NARROW + zstd.compress(len(rows).to_bytes(4, "little") + raw, options=_SPARSE)


def unpack_ids(blob: bytes) -> list[tuple[int, int]]:
    if blob[:1] != _NARROW:
        return _unpack_wide_ids(_unpack(blob))
    raw = _whole(zstd.ZstdDecompressor(), blob[1:])
    count, at = int.from_bytes(raw[:4], "little"), 4
    columns = []
    for _ in range(2):
        width = chr(raw[at]) if at < len(raw) else ""
        if width not in tuple(_TYPES):
            raise ValueError("damaged: a list of clauses of unknown width")
        steps = array(width)
        end = at + 1 + count * steps.itemsize
        if end > len(raw):
            raise ValueError("damaged: a list of clauses that ends too early")
        steps.frombytes(raw[at + 1 : end])
        if sys.byteorder == "big":
            steps.byteswap()
        columns.append(accumulate(steps))
        at = end
    if at != len(raw):
        raise ValueError("damaged: a list of clauses that goes on after its end")
    return list(zip(*columns, strict=True))


def _unpack_wide_ids(raw: bytes) -> list[tuple[int, int]]:
    """As versions were packed at first: both columns eight bytes wide."""
    columns = array("q")
    columns.frombytes(raw)  # ValueError when it is no whole number of them
    if sys.byteorder == "big":
        columns.byteswap()
    half = len(columns) // 2
    return list(zip(accumulate(columns[:half]), accumulate(columns[half:]), strict=True))


def _steps(ids: Sequence[int]) -> array[int]:
    steps = [now - before for before, now in zip((0, *ids), ids, strict=False)]
    for width in _TYPES[:-1]:
        try:
            return array(width, steps)
        except OverflowError:
            continue
    return array(_TYPES[-1], steps)


def _little(column: array[int]) -> bytes:
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()


# --- numbers and compressors ---------------------------------------------------------------------------------------


def _number(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the highest bit says that more follow."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_number(blob: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(blob) or shift > 63:
            raise ValueError("damaged: a number that does not end")
        value |= (blob[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if blob[at - 1] < 0x80:
            return value, at


_SPARSE: Mapping[int, int] = {
    zstd.CompressionParameter.compression_level: _LEVEL,
    zstd.CompressionParameter.content_size_flag: 0,
    zstd.CompressionParameter.dict_id_flag: 0,
}
_END: Final = zstd.ZstdCompressor.FLUSH_FRAME


@lru_cache(maxsize=64)
def _prefix(base: str) -> zstd.ZstdDict:
    # Shorter ones are refused; none of ours is, for a clause that short is no help.
    return zstd.ZstdDict(base.encode("utf-8", "surrogatepass").ljust(8), is_raw=True)


def _compressor(mark: bytes | None) -> zstd.ZstdCompressor:
    # One for each thread: a compressor keeps state between calls, and making one costs more than a short text.
    if not hasattr(_thread, "compressors"):
        _thread.compressors = {}
    compressors: dict[bytes | None, zstd.ZstdCompressor] = _thread.compressors
    if mark not in compressors:
        compressors[mark] = zstd.ZstdCompressor(options=_SPARSE, zstd_dict=_known[mark] if mark else None)
    return compressors[mark]
