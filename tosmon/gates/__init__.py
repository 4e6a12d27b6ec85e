"""The gates between a look at a document and a reader: is this the document, and is it news?

`verdict` says what an observation is worth, `decide` whether people are told of a change. Pure: no I/O, no clock.
"""

from __future__ import annotations

from tosmon.gates.decide import Decision, decide
from tosmon.gates.likeness import likeness
from tosmon.gates.verdict import LastGood, verdict

__all__ = ["Decision", "LastGood", "decide", "likeness", "verdict"]
