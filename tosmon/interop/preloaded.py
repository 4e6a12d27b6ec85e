"""What a process of an import needs, imported once: `workers` copies the process that did so.

The collector of garbage is told to leave alone what is there by then, so that the copies go on sharing its memory.
"""

import gc

import tosmon.archive
import tosmon.interop.ota_versions
import tosmon.judge

__all__ = ["tosmon"]

gc.freeze()
