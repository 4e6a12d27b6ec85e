"""How texts and versions are packed into the archive's columns.

The first byte says how the rest is coded, so that later codings (a trained dictionary, blocks) need no migration.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Sequence
from threading import local

import zstandard

_PLAIN, _ZSTD = b"\x00", b"\x01"
_WORTH_IT = 120  # bytes: a shorter clause grows under zstd
_MOST = 256 * 1024 * 1024  # no text of ours comes near; a damaged header must not ask for all memory
_thread = local()


def digest(text: str) -> bytes:
    """The 16 bytes that a clause is known by: half of its SHA-256 (chance collisions of 2**32 clauses: 2**-65)."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]


def pack_text(text: str) -> bytes:
    raw = text.encode("utf-8", "surrogatepass")
    if len(raw) < _WORTH_IT:
        return _PLAIN + raw
    packed = _compressor().compress(raw)
    return _ZSTD + packed if len(packed) < len(raw) else _PLAIN + raw


def unpack_text(blob: bytes) -> str:
    return _unpack(blob).decode("utf-8", "surrogatepass")


def pack_ids(rows: Sequence[tuple[int, int]]) -> bytes:
    """Pack the (clause id, layout id) of a version, in order.

    Neighbours tend to have been recorded together, so ids are kept as steps from the one before: runs of ones.
    """
    columns = array("q")
    for column in range(2):
        before = 0
        for row in rows:
            columns.append(row[column] - before)
            before = row[column]
    if sys.byteorder == "big":
        columns.byteswap()
    return _ZSTD + _compressor().compress(columns.tobytes())


def unpack_ids(blob: bytes) -> list[tuple[int, int]]:
    columns = array("q")
    columns.frombytes(_unpack(blob))
    if sys.byteorder == "big":
        columns.byteswap()
    half = len(columns) // 2
    return list(zip(_summed(columns[:half]), _summed(columns[half:]), strict=True))


def _summed(steps: array[int]) -> list[int]:
    total, out = 0, []
    for step in steps:
        total += step
        out.append(total)
    return out


def _unpack(blob: bytes) -> bytes:
    coding, rest = blob[:1], blob[1:]
    if coding == _PLAIN:
        return rest
    if coding == _ZSTD:
        return zstandard.ZstdDecompressor().decompress(rest, max_output_size=_MOST)
    raise ValueError(f"unknown coding {coding!r}: the archive is damaged or was written by a newer tosmon")


def _compressor() -> zstandard.ZstdCompressor:
    # One for each thread: a compressor keeps state between calls, and making one costs more than a short text.
    if not hasattr(_thread, "compressor"):
        _thread.compressor = zstandard.ZstdCompressor(level=6)
    found: zstandard.ZstdCompressor = _thread.compressor
    return found
