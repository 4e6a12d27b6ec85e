"""The longest common subsequence of two sequences, exact and at C speed, with memory bounded on hostile input.

The bit-parallel algorithm keeps one bit for each pair of positions: nothing for real terms (a 20,000-word
document against its rewrite: 50 MB), too much for a page made to be huge. Above the limit the sequences are first
cut at what is unique to both (as in a patience diff), which real text is full of.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from rapidfuzz.distance import LCSseq

_MOST_PAIRS = 1_000_000_000  # one bit each: 125 MB


class Block(NamedTuple):
    """`size` members from `before` on equal those from `after` on."""

    before: int
    after: int
    size: int


def common_blocks(before: Sequence[int] | str, after: Sequence[int] | str) -> list[Block]:
    """The blocks that both have, in order, without overlap."""
    start, end = _common_ends(before, after)
    left, right = before[start : len(before) - end], after[start : len(after) - end]
    blocks = [Block(0, 0, start)] if start else []
    if left and right:
        inner = _exact(left, right) if len(left) * len(right) <= _MOST_PAIRS else _cut_at_unique(left, right)
        blocks += [Block(start + i, start + j, size) for i, j, size in inner]
    return blocks + ([Block(len(before) - end, len(after) - end, end)] if end else [])


def _common_ends(before: Sequence[int] | str, after: Sequence[int] | str) -> tuple[int, int]:
    most = min(len(before), len(after))
    start = 0
    while start < most and before[start] == after[start]:
        start += 1
    end = 0
    while end < most - start and before[-1 - end] == after[-1 - end]:
        end += 1
    return start, end


def _exact(left: Sequence[int] | str, right: Sequence[int] | str) -> list[Block]:
    return [
        Block(code.src_start, code.dest_start, code.src_end - code.src_start)
        for code in LCSseq.opcodes(left, right)
        if code.tag == "equal"
    ]


def _cut_at_unique(left: Sequence[int] | str, right: Sequence[int] | str) -> list[Block]:
    blocks, i, j = [], 0, 0
    for anchor_i, anchor_j in [*_unique_pairs(left, right), (len(left), len(right))]:
        gap_left, gap_right = left[i:anchor_i], right[j:anchor_j]
        # A gap that is still too large has nothing in common worth the memory: it counts as replaced.
        if gap_left and gap_right and len(gap_left) * len(gap_right) <= _MOST_PAIRS:
            blocks += [Block(i + a, j + b, size) for a, b, size in _exact(gap_left, gap_right)]
        if anchor_i < len(left):
            blocks.append(Block(anchor_i, anchor_j, 1))
        i, j = anchor_i + 1, anchor_j + 1
    return blocks


def _unique_pairs(left: Sequence[int] | str, right: Sequence[int] | str) -> list[tuple[int, int]]:
    """Members that stand once on each side, as the longest chain that keeps their order."""
    count_left, count_right = Counter(left), Counter(right)
    places = {member: j for j, member in enumerate(right) if count_right[member] == 1}
    pairs = [(i, places[m]) for i, m in enumerate(left) if count_left[m] == 1 and m in places]
    tails: list[int] = []
    ends: list[int] = []
    previous: list[int] = []
    for number, (_, j) in enumerate(pairs):
        rank = bisect_left(tails, j)
        previous.append(ends[rank - 1] if rank else -1)
        tails[rank : rank + 1] = [j]
        ends[rank : rank + 1] = [number]
    chain, number = [], ends[-1] if ends else -1
    while number >= 0:
        chain.append(pairs[number])
        number = previous[number]
    return chain[::-1]
