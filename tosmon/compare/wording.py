"""Word edits inside a clause: which words went, which came.

The tokens are words, not characters (half-changed words cannot be read), and never a time limit: a diff that
gives up marks everything as changed. Alignment is exact and done in C (bit-parallel longest common subsequence):
diff-match-patch's own search is quadratic in Python on a rewritten page. Its semantic clean-up then drops the
chance matches ("the", "of") that would tear a rewritten sentence to shreds.
"""

from __future__ import annotations

import re

from diff_match_patch import diff_match_patch

from tosmon.compare.matching import Block, common_blocks
from tosmon.model import Edit, EditKind

# A word with its inner apostrophes, hyphens and digits' separators; each letter of scripts that write no spaces; a run
# of white space; any other sign by itself.
_TOKEN = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\u0e00-\u0eff]"
    r"|[^\W\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\u0e00-\u0eff]+(?:['’.,-][^\W\u3040-\u30ff\u3400-\u9fff]+)*"
    r"|\s+|[^\w\s]"
)
_KINDS = {0: EditKind.SAME, 1: EditKind.ADDED, -1: EditKind.REMOVED}
_MOST_TOKENS = 0x10FFFF  # distinct ones: as many letters as there are. Only a page made to be huge has more.
_cleaner = diff_match_patch()


def edits(before: str, after: str) -> tuple[Edit, ...]:
    """The runs of words that stayed, went and came, in reading order, removals before additions.

    `SAME` and `REMOVED` runs joined give `before`; `SAME` and `ADDED` joined give `after`.
    """
    tokens: dict[str, int] = {}
    left = [tokens.setdefault(token, len(tokens)) for token in _TOKEN.findall(before)]
    right = [tokens.setdefault(token, len(tokens)) for token in _TOKEN.findall(after)]
    names = list(tokens)
    if len(names) > _MOST_TOKENS:
        return tuple(Edit(kind, text) for kind, text in ((EditKind.REMOVED, before), (EditKind.ADDED, after)) if text)
    runs: list[tuple[int, str]] = []
    i = j = 0
    for block in [*common_blocks(left, right), Block(len(left), len(right), 0)]:
        runs += [(-1, _spelled(left[i : block.before])), (1, _spelled(right[j : block.after]))]
        i, j = block.before + block.size, block.after + block.size
        runs.append((0, _spelled(left[block.before : i])))
    runs = [run for run in runs if run[1]]
    _cleaner.diff_cleanupSemantic(runs)
    return tuple(Edit(_KINDS[sign], "".join([names[ord(letter)] for letter in run])) for sign, run in runs if run)


def _spelled(tokens: list[int]) -> str:
    """One letter for each token: the form in which diff-match-patch reads sequences."""
    return "".join(map(chr, tokens))
