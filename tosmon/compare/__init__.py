"""Compare two versions of the same terms, clause by clause.

Knows nothing of storage or of flags: what a comparison means is `judge`'s to say, whether people
are told of it `gates`'.
"""

from __future__ import annotations

from tosmon.compare.align import apply, compare
from tosmon.compare.wording import edits

__all__ = ["apply", "compare", "edits"]
