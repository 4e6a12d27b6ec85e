"""The demo's story as tests know it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tosmon import demo

END = datetime(2025, 6, 30, 18, tzinfo=UTC)
"""When the story ends in tests: its dates can be written down."""


@dataclass(frozen=True)
class Lived:
    """The story, lived through in `folder`, and what was said meanwhile."""

    result: demo.DemoResult
    folder: Path
    said: list[str]
    story: demo.Story
