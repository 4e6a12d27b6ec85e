"""A real browser walks the archive: with and without scripts, on a phone and a wide screen, light and dark."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tosmon.archive import Archive
from tosmon.publish import links
from tosmon.web import Operator, WebSettings, app
from tosmon.web.static_site import export_site

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))  # the filled archive of the tests over HTTP
import web_story as story
from web_server import serving, web

pytestmark = pytest.mark.browser

CHROMIUM = os.environ.get("TOSMON_CHROMIUM", "/usr/bin/chromium")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, story.Told]]:
    """The address of the story's archive, and what was recorded in it."""
    folder = tmp_path_factory.mktemp("browse")
    archive = Archive(f"sqlite:///{folder}/archive.sqlite")
    recorded = story.tell(archive, folder / "snapshots")
    with serving(web(archive, folder)) as address:
        yield address, recorded
    archive.close()


@pytest.fixture
def base(told: tuple[str, story.Told]) -> str:
    return told[0]


@pytest.fixture
def changes(told: tuple[str, story.Told]) -> dict[str, str]:
    """The path of each change by its name in the story."""
    return {name: links.change_path(number) for name, number in told[1].changes.items()}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """An installed Chromium. Without one these tests are left out, but never in CI."""
    if not Path(CHROMIUM).exists() and os.environ.get("CI") != "true":
        pytest.skip(f"no browser at {CHROMIUM}; set TOSMON_CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


class Seen:
    """A page in the browser, and everything that must not happen on it."""

    def __init__(self, chromium: Any, base: str, **context: Any) -> None:
        self.base = base
        self.context = chromium.new_context(**context)
        self.page = self.context.new_page()
        self.wrong: list[str] = []
        self.page.on("dialog", self._opened)
        self.page.on("console", lambda said: self.wrong.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", self._asked)

    def _opened(self, dialog: Any) -> None:
        self.wrong.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.base, "data:")):
            self.wrong.append(f"asked {request.url}")

    def go(self, path: str) -> None:
        self.page.goto(self.base + path)

    def close(self) -> None:
        self.context.close()
        assert self.wrong == []


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
@pytest.mark.parametrize("width", [360, 1280])
def test_from_the_first_page_to_the_words_and_back(chromium: Any, base: str, scripts: bool, width: int) -> None:
    """Home, filter, change, the flag's quote, the version, since when, search, profile, subscribe."""
    seen = Seen(chromium, base, viewport={"width": width, "height": 800}, java_script_enabled=scripts)
    page = seen.page
    seen.go("/")
    if not page.get_by_label("Topic").is_visible():
        page.locator(".filters summary").click()
    page.get_by_label("Topic").select_option(label="Licence to your content")
    page.get_by_role("button", name="Show").click()
    assert page.locator("article").count() == 1
    page.locator("article h3 a").click()
    assert page.locator("h1").inner_text().startswith("Inkwell Terms of Service: may train AI models")
    page.locator("#about-1").get_by_role("link", name="Read it in the text").click()
    quote = page.locator("#flag-1 + mark")
    assert page.url.endswith("#flag-1") and quote.inner_text().startswith("use Content to train")
    box = quote.bounding_box()
    assert box is not None and 0 <= box["y"] <= 800
    page.locator(".backing").get_by_role("link", name="text seen 3 November 2026").click()
    page.get_by_role("link", name="since 3 November 2026").first.click()
    assert "/changes/" in page.url
    page.get_by_role("link", name="Search", exact=True).click()
    page.get_by_label("Words, or").fill('"improve and evaluate"')
    page.get_by_role("button", name="Search", exact=True).click()
    hit = page.locator(".hit").first
    assert "Inkwell Studio · Terms of Service" in hit.inner_text() and "stands now" in hit.inner_text()
    assert hit.locator("mark").inner_text() == "improve and evaluate"
    hit.get_by_role("link", name="Inkwell Studio").click()
    assert "/versions/" in page.url and "#p" in page.url
    page.get_by_role("link", name="Profiles", exact=True).click()
    assert page.url.endswith("/profiles")
    page.get_by_role("link", name="Mail", exact=True).first.click()
    assert page.locator("main input[type=email]").is_visible()
    page.get_by_role("link", name="Feeds", exact=True).first.click()
    assert page.get_by_role("link", name="all feeds as OPML").is_visible()
    seen.close()


@pytest.mark.parametrize("width", [320, 390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_the_screen(
    chromium: Any, base: str, changes: dict[str, str], width: int, scheme: str
) -> None:
    """Nothing is cut off or scrolls sideways, down to 320 pixels; and nothing strange is asked for or run."""
    seen = Seen(chromium, base, viewport={"width": width, "height": 800}, color_scheme=scheme)
    paths = ["/", "/services", "/feeds", "/incidents", links.document_path(story.FOTOFELD), "/versions/30"]
    named = ("training", "renumbered", "arabic", "hostile")
    paths += [f"{changes[name]}{view}" for name in named for view in ("", "?view=side")]
    for path in paths:
        seen.go(path)
        over = seen.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert over <= 0, (path, over)
    seen.close()


def test_keys_step_through_the_changes(chromium: Any, base: str, changes: dict[str, str]) -> None:
    """`n` goes to the next changed passage, `p` back, and focus goes along."""
    seen = Seen(chromium, base)
    seen.go(changes["training"])
    focused = "document.activeElement.id"
    steps = []
    for key in "nnpnnnn":
        seen.page.keyboard.press(key)
        steps.append(seen.page.evaluate(focused))

    assert steps == ["c1", "c2", "c1", "c2", "c3", "c4", "c4"]
    seen.close()


def test_times_have_one_clock(chromium: Any, base: str, changes: dict[str, str]) -> None:
    """A page says UTC everywhere, by name; the reader's own time, with its zone, is there on hover."""
    for scripts in (True, False):
        seen = Seen(chromium, base, timezone_id="America/Sao_Paulo", locale="en-GB", java_script_enabled=scripts)
        seen.go(changes["training"])
        time = seen.page.locator(".facts time.local")
        assert time.inner_text() == "3 November 2026, 06:08 UTC"
        assert not scripts or "03:08 GMT-3" in str(time.get_attribute("title"))
        seen.close()


def test_hostile_terms_run_nothing(
    chromium: Any, base: str, changes: dict[str, str], told: tuple[str, story.Told]
) -> None:
    """On every page that shows them, no dialog opens, nothing is asked for elsewhere, nothing breaks the policy."""
    seen = Seen(chromium, base)
    hostile = changes["hostile"]
    text = f"/versions/{told[1].versions[story.HOSTILE][-1]}"
    for path in ("/", links.document_path(story.HOSTILE), hostile, f"{hostile}?view=side", text, "/feeds"):
        seen.go(path)
        for fold in seen.page.locator("details").all():
            fold.evaluate("fold => { fold.open = true }")
        for link in seen.page.locator("main a").all():
            assert not (link.get_attribute("href") or "").startswith(("javascript:", "data:"))
    seen.close()


def test_the_page_can_be_walked_by_keyboard(chromium: Any, base: str, changes: dict[str, str]) -> None:
    """The first stop is the way past the navigation, and what has the focus is always seen."""
    seen = Seen(chromium, base)
    seen.go(changes["training"])
    seen.page.keyboard.press("Tab")
    assert seen.page.evaluate("document.activeElement.textContent") == "Skip to the text"
    for _ in range(25):
        seen.page.keyboard.press("Tab")
        width = seen.page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
        assert float(width.removesuffix("px")) >= 2
    seen.close()


def test_the_operator_pauses_and_resumes_in_a_browser(chromium: Any, tmp_path: Path) -> None:
    """Login, cookie, proof and the policies of a real browser go together; without scripts as well."""
    archive = Archive(f"sqlite:///{tmp_path}/archive.sqlite")
    story.tell(archive, tmp_path / "snapshots")
    application = app(archive, WebSettings(operator=Operator("a token, long enough")), lambda: story.NOW)
    with serving(application) as address:
        seen = Seen(chromium, address, java_script_enabled=False)
        seen.go("/operator")
        seen.page.get_by_label("Token").fill("a token, long enough")
        seen.page.get_by_role("button", name="Log in").click()
        seen.go(links.document_path(story.INKWELL))
        for button, said in (("Pause", "Paused"), ("Resume", "Resumed"), ("Look now", "It is due now")):
            seen.page.get_by_role("button", name=button).click()
            assert said in seen.page.locator(".operating [role=status]").inner_text()
        seen.page.get_by_role("button", name="Log out").click()
        seen.go(links.document_path(story.INKWELL))
        assert seen.page.get_by_role("button", name="Pause").count() == 0
        seen.close()
    archive.close()


def test_the_exported_site_is_read_from_a_disk(chromium: Any, tmp_path: Path) -> None:
    """Opened as files, pages have their style and script, and links lead from one to the other."""
    archive = Archive(f"sqlite:///{tmp_path}/archive.sqlite")
    story.tell(archive, tmp_path / "snapshots")
    with ThreadPoolExecutor(1) as elsewhere:  # playwright's event loop runs in this thread
        elsewhere.submit(export_site, archive, WebSettings(feeds=story.SETTINGS), tmp_path / "site", story.NOW).result()
    archive.close()
    seen = Seen(chromium, f"file://{tmp_path}/site")
    seen.go("/index.html")
    seen.page.locator("article h3 a").first.click()
    assert seen.page.evaluate("getComputedStyle(document.querySelector('.headline')).borderTopWidth") == "5px"
    assert seen.page.locator(".keys").is_visible()
    seen.page.locator("#about-1").get_by_role("link", name="Read it in the text").click()
    assert seen.page.url.endswith("index.html#flag-1")
    seen.page.get_by_role("link", name="Side by side").click()
    assert seen.page.locator(".columns").first.is_visible()
    seen.page.get_by_role("link", name="Profiles").click()
    seen.close()
