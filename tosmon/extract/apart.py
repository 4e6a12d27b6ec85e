"""Read a PDF in a process of its own, which may use so much time and memory and no more.

A file of a kilobyte can tell its reader to draw one thing ten million times, and the library that reads it cannot be
interrupted. So a stranger's file is read apart: the process that hangs, swells or dies takes nothing with it. It costs
a fifth of a second, for the few documents that are PDF and only when their bytes changed.
"""

from __future__ import annotations

import os
import subprocess
import sys

from tosmon.errors import ExtractionError
from tosmon.extract import pdf

_SECONDS = 60
_TAKEN_ALONG = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR", "TEMP")  # no secrets


def pdf_to_markdown_apart(body: bytes, url: str) -> str:
    """What `pdf_to_markdown` gives. Raises `ExtractionError`, also for a file that takes too much to read."""
    environment = {name: os.environ[name] for name in _TAKEN_ALONG if name in os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(place for place in sys.path if place)
    command = [sys.executable, "-P", pdf.__file__, url]
    try:
        ended = subprocess.run(command, input=body, capture_output=True, timeout=_SECONDS, env=environment, check=False)
    except subprocess.TimeoutExpired as error:
        raise _given_up(url) from error
    said = ended.stdout.decode("utf-8", "replace")
    if ended.returncode == pdf.NO_TEXT:
        raise ExtractionError(said)
    if ended.returncode != 0:
        raise _given_up(url)
    return said


def _given_up(url: str) -> ExtractionError:
    return ExtractionError(f"{url}: this PDF takes more time or memory than any terms do and was given up; look at it")
