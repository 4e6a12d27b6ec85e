"""The invented platforms' pages as they are at a moment of the story.

Each platform has its own style of markup, because extraction has to cope with all of them: a clean article, a soup of
nested boxes with a cookie banner, an accordion, layout tables, one document on three pages. What real pages add by
themselves is there too: a token that differs in each answer, counters, recommendations that change every week.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

from jinja2 import Environment, PackageLoader, StrictUndefined

from tosmon.demo.story import EVENTS, PLATFORMS, Story
from tosmon.publish.words import day

_EVENINGS = ("Lantern walk", "Open rehearsal", "Night of short films", "Bread for beginners", "Harbour swim", "Quiz")


@dataclass(frozen=True, slots=True)
class Page:
    body: str
    status: int = 200


class Pages:
    """All pages of the site. `at` is a moment of the story, paths begin with a slash."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self._templates = Environment(
            loader=PackageLoader("tosmon.demo", "templates"), autoescape=True, undefined=StrictUndefined
        )
        self._by_path = {
            f"/{platform.key.lower()}/{path}": f"{platform.key.lower()}/{path.rpartition('/')[2]}.html"
            for platform in PLATFORMS
            for paths in platform.documents.values()
            for path in paths
        }

    def get(self, path: str, at: datetime) -> Page | None:
        """The page at a path, or `None` where there is none."""
        happened = self._story.happened(at)
        if path == "/":
            return Page(self._rendered("index.html", at))
        template = self._by_path.get(path)
        if template is None:
            return None
        if happened["challenged"] and path.startswith("/gatherwick/"):
            return Page(self._rendered("gatherwick/challenge.html", at))
        if happened["page_failing"] and path == "/noteharbor/terms/uploads":
            return Page("<h1>Service unavailable</h1><p>Back soon.</p>", 503)
        return Page(self._rendered(template, at))

    def _rendered(self, template: str, at: datetime) -> str:
        story = self._story
        happened = story.happened(at)
        passed = (at - story.start).days
        week = passed // 7
        return self._templates.get_template(template).render(
            happened=happened,
            other_variant=happened["other_variant"],
            happened_on={event.name: day(story.date(event.day)) for event in EVENTS},
            applies={event.name: day(story.date(event.applies)) for event in EVENTS if event.applies is not None},
            date=lambda number: day(story.date(number)),
            today=day(at.date()),
            nonce=secrets.token_hex(12),
            members=f"{184_212 + 37 * passed:,}",
            visitors=411 + passed * 7919 % 300,
            events=[_EVENINGS[(week + number) % len(_EVENINGS)] for number in range(3)],
            documents=[(f"{path[1:]}", path) for path in self._by_path],
        )
