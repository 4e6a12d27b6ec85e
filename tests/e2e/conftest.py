"""What end-to-end tests share: the command line as a process, and the demo's story, lived through once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from stories import END, Lived

from tosmon import demo

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """The demo's story, lived through by the real pipeline over real HTTP and SMTP."""
    folder = tmp_path_factory.mktemp("demo")
    said: list[str] = []
    result = demo.run(folder, browser=False, serve=False, port=None, report=said.append, until=END)
    return Lived(result, folder, said, demo.Story(END))


@pytest.fixture
def tosmon(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `tosmon …` in a process of its own; whatever still runs at the end is ended."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, program: str = "from tosmon.cli import main; main()", **named: Any) -> Any:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TOSMON_")}
        process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            cwd=named.pop("cwd", tmp_path),
            env=environment | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **named,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
