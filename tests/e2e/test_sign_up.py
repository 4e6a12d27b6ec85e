"""A real browser subscribes: by keyboard, without scripts, on a phone; and its own rules let our forms through."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tosmon.archive import Archive
from tosmon.model import Choices, Frequency, Severity, SubscriberState
from tosmon.publish import links
from tosmon.publish.signed import Purpose, Signer
from tosmon.web import Subscribing, WebSettings, app

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))  # the filled archive of the tests over HTTP
import web_story as story
from web_server import serving

pytestmark = pytest.mark.browser

CHROMIUM = os.environ.get("TOSMON_CHROMIUM", "/usr/bin/chromium")
SIGNER = Signer("a secret")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Archive]]:
    """The story's archive where people may subscribe."""
    folder = tmp_path_factory.mktemp("sign-up")
    archive = Archive(f"sqlite:///{folder}/archive.sqlite")
    story.tell(archive, folder / "snapshots")
    settings = WebSettings("Terms watch", story.SETTINGS.site_url, subscribing=Subscribing(SIGNER))
    with serving(app(archive, settings, lambda: story.NOW)) as address:
        yield address, archive
    archive.close()


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


def opened(chromium: Any, **context: Any) -> Any:
    made = chromium.new_context(**context)
    made.set_default_timeout(15_000)
    return made.new_page()


def test_signing_up_by_keyboard(chromium: Any, served: tuple[str, Archive]) -> None:
    """The address is a few keys away; the reader's own time zone is chosen already; Enter sends."""
    base, archive = served
    browser = opened(chromium, timezone_id="Asia/Tokyo")
    browser.goto(f"{base}/subscribe")
    browser.get_by_label("Your mail address").focus()
    browser.keyboard.type("kay@example.net")
    browser.keyboard.press("Enter")
    browser.wait_for_url("**/subscribe/asked")

    found = archive.subscribers.by_address("kay@example.net")
    assert found is not None and found.state is SubscriberState.ASKED
    assert found.choices == Choices(zone="Asia/Tokyo")


def test_signing_up_and_leaving_without_scripts(chromium: Any, served: tuple[str, Archive]) -> None:
    """From the form over the confirmation and the choices to leaving: each step works without JavaScript, on a phone."""
    base, archive = served
    browser = opened(chromium, java_script_enabled=False, viewport={"width": 360, "height": 740})
    browser.goto(f"{base}/subscribe?service=Inkwell")
    browser.get_by_label("Your mail address").fill("ada@example.net")
    browser.get_by_label("Once a week").check()
    browser.get_by_label("On (weekly)").select_option("Friday")
    browser.get_by_label("In the time zone").select_option("Europe/Berlin")
    browser.get_by_role("button", name="Send me the mail").click()
    assert browser.url.endswith("/subscribe/asked")

    [letter] = [one for one, _ in archive.subscribers.letters() if one.subscriber.address == "ada@example.net"]
    token = SIGNER.token(Purpose.CONFIRM, letter.subscriber.handle, letter.id)
    browser.goto(base + links.confirm_path(token))
    browser.get_by_role("button", name="Yes, write to me").click()
    assert browser.get_by_role("status").inner_text().startswith("You are subscribed")
    found = archive.subscribers.by_address("ada@example.net")
    assert found is not None
    assert found.choices == Choices(("Inkwell",), frequency=Frequency.WEEKLY, weekday=4, zone="Europe/Berlin")

    browser.get_by_label("High only").check()
    browser.get_by_role("button", name="Save").click()
    assert browser.get_by_role("status").inner_text() == "Saved."
    browser.get_by_role("button", name="Unsubscribe").click()
    assert "You are unsubscribed" in browser.inner_text("main")
    found = archive.subscribers.by_address("ada@example.net")
    assert found is not None
    assert (found.state, found.choices.severity) == (SubscriberState.LEFT, Severity.HIGH)


def test_a_slip_is_said_beside_what_was_typed(chromium: Any, served: tuple[str, Archive]) -> None:
    """What a browser lets through and we do not comes back with the reason, announced, and the field in focus."""
    base, _ = served
    browser = opened(chromium)
    browser.goto(f"{base}/subscribe")
    browser.get_by_label("Your mail address").fill("ada@localhost")
    browser.get_by_role("button", name="Send me the mail").click()

    assert "Give a mail address like" in browser.get_by_role("alert").inner_text()
    field = browser.get_by_label("Your mail address")
    assert field.input_value() == "ada@localhost"
    assert field.evaluate("field => field === document.activeElement && field.getAttribute('aria-invalid') === 'true'")


@pytest.mark.parametrize("width", [320, 1280])
def test_nothing_is_cut_off(chromium: Any, served: tuple[str, Archive], width: int) -> None:
    """No page of subscribers is wider than its window, however small."""
    base, archive = served
    archive.subscribers.enrol("cat@example.net", Choices(("Inkwell",)), story.NOW)
    found = archive.subscribers.by_address("cat@example.net")
    assert found is not None
    archive.subscribers.mute(found.handle, 1)
    browser = opened(chromium, viewport={"width": width, "height": 700})
    for path in (
        "/subscribe?service=Inkwell",
        links.choices_path(SIGNER.token(Purpose.CHOICES, found.handle)),
        links.unsubscribe_path(SIGNER.token(Purpose.LEAVE, found.handle)),
        links.mute_path(SIGNER.token(Purpose.MUTE, found.handle, 1)),
    ):
        browser.goto(base + path)
        assert browser.evaluate("document.documentElement.scrollWidth") <= width, path
