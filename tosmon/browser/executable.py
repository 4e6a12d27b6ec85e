"""Find a Chromium, and end one that no longer listens."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_OF_PLAYWRIGHT = ("chrome-linux*/chrome", "chrome-mac*/*/Contents/MacOS/*", "chrome-win*/chrome.exe")

HOW_TO_INSTALL = (
    "pip install 'tosmon[browser]', then install a Chromium (apt install chromium, or: playwright install chromium), "
    "or point TOSMON_CHROMIUM to one"
)


def has_playwright() -> bool:
    return find_spec("playwright") is not None


def find_chromium(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The executable of TOSMON_CHROMIUM, else playwright's own, else one of the system; `None` if there is none."""
    named = environment.get("TOSMON_CHROMIUM")
    if named:
        return Path(named) if Path(named).is_file() else None
    own = next(_of_playwright(environment), None)
    if own is not None:
        return own
    found = next((path for name in _NAMES if (path := shutil.which(name, path=environment.get("PATH")))), None)
    return Path(found) if found else None


def _of_playwright(environment: Mapping[str, str]) -> Iterator[Path]:
    home = Path(environment.get("HOME") or Path.home())
    folders = [
        Path(environment["PLAYWRIGHT_BROWSERS_PATH"]) if environment.get("PLAYWRIGHT_BROWSERS_PATH") else None,
        home / ".cache/ms-playwright",
        home / "Library/Caches/ms-playwright",
        home / "AppData/Local/ms-playwright",
    ]
    for folder in filter(None, folders):
        for version in sorted(folder.glob("chromium-*"), reverse=True):
            for pattern in _OF_PLAYWRIGHT:
                yield from (path for path in version.glob(pattern) if path.is_file())


def end_group(mark: str) -> None:
    """Kill the process that was started with the argument `mark`, and its group. Linux; elsewhere the driver must do.

    playwright does not tell the process it starts, and a browser that hangs does not close when asked.
    """
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
            if mark.encode() in arguments:
                group = os.getpgid(int(folder.name))
                if group != os.getpgid(0):
                    os.killpg(group, signal.SIGKILL)
                else:
                    os.kill(int(folder.name), signal.SIGKILL)
        except (OSError, ValueError):
            continue
