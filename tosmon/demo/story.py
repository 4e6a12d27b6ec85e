"""The demo's story: six platforms that nobody owns, and what they do to their terms within sixteen weeks.

Written down once, as data: the site shows each page as the story has it at a moment, the narrator reads the same lines, and
the end-to-end tests hold what tosmon made of it against them. Times are relative to the end, so that the archive one
looks at afterwards is fresh. Knows nothing of HTTP or of tosmon's opinion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from tosmon.model import Form, SourceDocument, Terms, TermsKey

LENGTH = timedelta(days=110)
INTERVAL = timedelta(days=1)
"""How often the demo looks: hourly looks, as by default, would make the story take minutes."""

_VARIANT_LASTS = timedelta(hours=30)


@dataclass(frozen=True, slots=True)
class Event:
    """What a platform does on a day of the story (0 is the first), at half past nine.

    `until` ends what passes by itself; `applies` is the day that an announcement names.
    """

    name: str
    day: int
    service: str
    what: str
    until: int | None = None
    applies: int | None = None


EVENTS = (
    Event("scraping_forbidden", 6, "Quillhaven", "forbids readers to scrape stories for AI"),
    Event("section_inserted", 16, "Quillhaven", "inserts a section, and renumbers all that follow"),
    Event("other_variant", 24, "Noteharbor", "shows some visitors other terms of payment, for twelve days", until=36),
    Event("training_announced", 42, "Tattlebird", "announces that posts will train its AI", applies=63),
    Event("promise_removed", 48, "Easelry", "takes out a promise, and leaves the date as it was"),
    Event("challenged", 56, "Gatherwick", "asks visitors to prove that they are human, for two days", until=58),
    Event("redesign", 66, "Lumigraph", "puts the same words into new clothes"),
    Event("list_reordered", 71, "Gatherwick", "lists the same companies in another order"),
    Event("page_failing", 76, "Noteharbor", "loses one of its three pages, for two days", until=78),
    Event("opt_out_added", 84, "Lumigraph", "lets people opt out of training"),
    Event("fee_raised", 91, "Gatherwick", "raises a fee"),
    Event("partners_announced", 98, "Tattlebird", "announces that partners may train AI, too", applies=120),
    Event("login_wall", 106, "Gatherwick", "hides its privacy policy behind a log-in"),
)


@dataclass(frozen=True, slots=True)
class Story:
    """The story as it ends at a given time."""

    end: datetime

    @property
    def start(self) -> datetime:
        return datetime.combine(self.end.date(), time(), UTC) - LENGTH

    def moment(self, day: int) -> datetime:
        """When what happens on a day of the story happens."""
        return self.start + timedelta(days=day, hours=9, minutes=30)

    def date(self, day: int) -> date:
        return (self.start + timedelta(days=day)).date()

    def happened(self, at: datetime) -> Mapping[str, bool]:
        """For each event, whether it holds at a moment."""
        return {event.name: self._holds(event, at) for event in EVENTS}

    def _holds(self, event: Event, at: datetime) -> bool:
        begun = at - self.moment(event.day)
        if begun < timedelta(0) or (event.until is not None and at >= self.moment(event.until)):
            return False
        # An experiment shows now the one, now the other variant.
        return event.name != "other_variant" or (begun // _VARIANT_LASTS) % 2 == 0


@dataclass(frozen=True, slots=True)
class Platform:
    """An invented platform: its documents by type, each with its paths on the site and what to select there."""

    key: str
    documents: Mapping[str, tuple[str, ...]]
    select: str | None = None
    tags: tuple[str, ...] = ()


PLATFORMS = (
    Platform("Tattlebird", {"Terms of Service": ("terms",), "Privacy Policy": ("privacy",)}, tags=("social",)),
    Platform("Easelry", {"Terms of Service": ("terms",)}, tags=("art",)),
    Platform("Lumigraph", {"Terms of Service": ("terms",)}, tags=("photography",)),
    Platform("Quillhaven", {"Terms of Service": ("terms",)}, select="#text", tags=("writing",)),
    Platform(
        "Noteharbor",
        {"Terms of Service": ("terms", "terms/uploads", "terms/payments")},
        select=".legal",
        tags=("music",),
    ),
    Platform(
        "Gatherwick",
        {"Terms of Service": ("terms",), "Privacy Policy": ("privacy",)},
        select="section.terms",
        tags=("events",),
    ),
)


def declared(site: str) -> list[Terms]:
    """The documents to track, at the address of the site."""
    return [
        Terms(
            key=TermsKey(platform.key, type_),
            service_name=platform.key,
            form=Form(
                tuple(
                    SourceDocument(
                        f"{site}/{platform.key.lower()}/{path}", (platform.select,) if platform.select else ()
                    )
                    for path in paths
                )
            ),
            interval=INTERVAL,
            tags=platform.tags,
            language="en",
        )
        for platform in PLATFORMS
        for type_, paths in platform.documents.items()
    ]
