"""From a page as received to Markdown that a lawyer would accept.

Pages are read twice, at different prices. `fingerprint` asks, in a few milliseconds, whether anything that extraction
reads has changed; `read` does the careful work. Both look at the same thing: a fast HTML5 parser cuts the page
down to what the selectors leave, stripped of all that is never read, and that string is what the one digests and the other
converts. So an equal fingerprint means an equal text by construction. No I/O, no clock, no verdict on the page.
"""

from __future__ import annotations

from tosmon.extract.legal import reads_like_terms
from tosmon.extract.reading import WITHOUT_SELECTORS, fingerprint, form_named, read
from tosmon.extract.suggest import suggest_selector

__all__ = [
    "EXTRACTOR",
    "WITHOUT_SELECTORS",
    "fingerprint",
    "form_named",
    "read",
    "reads_like_terms",
    "suggest_selector",
]

EXTRACTOR = "1"
"""Raised whenever the same page may give another text: the next check then records a technical upgrade."""
