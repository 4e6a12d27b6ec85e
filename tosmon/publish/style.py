"""Colours and type in one place, for feeds, mail and the web.

Worse is a warm orange, better green, neutral a grey blue; words that came are blue, words that went grey, so that
the marks of an edit are never taken for a judgement. Nothing is told by colour alone. Every text colour reaches
4.5 : 1 on the grounds it stands on (WCAG AA, kept by a test).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from tosmon.model import Direction

SANS = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
SERIF = 'Charter, "Bitstream Charter", "Iowan Old Style", Georgia, Cambria, "Times New Roman", serif'


@dataclass(frozen=True, slots=True)
class Palette:
    ground: str
    paper: str
    ink: str
    muted: str
    rule: str
    link: str
    button: str
    button_ink: str
    worse: str
    worse_ground: str
    better: str
    better_ground: str
    mixed: str
    mixed_ground: str
    neutral: str
    neutral_ground: str
    added: str
    added_ground: str
    removed: str
    removed_ground: str

    def of(self, direction: Direction) -> tuple[str, str]:
        """The ink and the ground of a direction."""
        return getattr(self, direction.value), getattr(self, f"{direction.value}_ground")


LIGHT = Palette(
    ground="#f3f1ec",
    paper="#ffffff",
    ink="#1d2430",
    muted="#5a6372",
    rule="#dcd8cf",
    link="#1f4f8f",
    button="#1f4f8f",
    button_ink="#ffffff",
    worse="#a8380f",
    worse_ground="#fdeee6",
    better="#1c6a43",
    better_ground="#e6f4eb",
    mixed="#76560a",
    mixed_ground="#fbf3dc",
    neutral="#44566c",
    neutral_ground="#eaeff5",
    added="#123a72",
    added_ground="#dbe9fb",
    removed="#5f646d",
    removed_ground="#efedea",
)

DARK = Palette(
    ground="#12151a",
    paper="#1b1f26",
    ink="#e9e7e2",
    muted="#a6aebb",
    rule="#363d48",
    link="#93bbf6",
    button="#2b5fa8",
    button_ink="#ffffff",
    worse="#ffa27c",
    worse_ground="#3a211a",
    better="#84d9aa",
    better_ground="#163126",
    mixed="#e8c873",
    mixed_ground="#342b14",
    neutral="#adc0d8",
    neutral_ground="#222c39",
    added="#cfe2ff",
    added_ground="#1e3a63",
    removed="#a9afb9",
    removed_ground="#2a2e35",
)


def custom_properties(palette: Palette) -> str:
    """The palette as CSS custom properties, for a style sheet: `--worse-ground: #fdeee6; …`."""
    return " ".join(f"--{name.replace('_', '-')}: {colour};" for name, colour in asdict(palette).items())
