"""Judge a change: what each clause says on the topics people care about, and what became of it.

Knows nothing of storage or of delivery. `findings` reads one clause, `judge` a whole comparison, `explain` says why.
"""

from __future__ import annotations

from tosmon.judge.finding import Explanation, explain, failures, findings
from tosmon.judge.judgement import judge
from tosmon.judge.rules import Rule, Rules, load_rules

__all__ = ["Explanation", "Rule", "Rules", "explain", "failures", "findings", "judge", "load_rules"]
