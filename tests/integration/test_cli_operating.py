"""The operator's commands, from the command line to the archive and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from local_site import Site, serving
from test_track import CHANGED, CLAUSES, page

from tosmon.cli import run


class Desk:
    """A configuration with one document on a real server, and what commands print."""

    def __init__(self, site: Site, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.site, self.config, self._capsys = site, folder / "config.yaml", capsys
        self.config.write_text(
            "schedule: {confirm_after: 0s, workers: 1}\n"
            "politeness: {robots: false, pause: 0s, allow_private_addresses: true}\n"
            "feeds: {site_url: https://tosmon.example}\n"
            "services:\n"
            "  - key: Marrowick\n"
            "    terms:\n"
            f"      - {{type: Terms of Service, url: '{site.url('/terms')}', select: .terms}}\n",
            encoding="utf-8",
        )
        self.show(page())

    def show(self, body: str) -> None:
        self.site.page("/terms", body)
        self.run("check")

    def run(self, *arguments: str) -> int:
        self._capsys.readouterr()
        code = run(["--config", str(self.config), *arguments])
        self.out, self.err = self._capsys.readouterr()
        return code

    def json(self, *arguments: str) -> Any:
        assert self.run(*arguments, "--json") == 0, self.err
        return json.loads(self.out)


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    with serving() as site:
        yield Desk(site, tmp_path, capsys)


def test_an_alert_can_be_called_noise_and_released_again(desk: Desk) -> None:
    """`changes --all` shows the reason, `noise` takes an alert back, `release` gives it out again."""
    desk.show(page(CHANGED))
    (change,) = desk.json("changes")

    done = desk.json("noise", str(change["id"]))
    assert done["done"] and done["alert"].endswith("correction/1") and done["masked"] == 1
    assert desk.json("changes") == []
    assert desk.run("changes", "--all") == 0
    assert "called noise by the operator" in desk.out
    assert desk.json("noise", str(change["id"]))["done"] is False

    assert desk.run("release", str(change["id"])) == 0
    assert "released" in desk.out
    assert [one["id"] for one in desk.json("changes")] == [change["id"]]


def test_parts_that_change_by_themselves_are_listed_and_can_be_told(desk: Desk) -> None:
    """`volatile` shows the words, why they are masked, and what to declare; `--tell` ends it."""
    desk.show(page(CHANGED))
    (change,) = desk.json("changes")
    desk.run("noise", str(change["id"]))
    (part,) = desk.json("volatile", "marrowick")

    assert "nine per cent" in part["text"]
    assert part["noise"] == change["id"]
    assert desk.json("volatile", "--tell", str(part["part"]))[0]["told"] is True
    assert desk.run("volatile", "--mask", "77") == 1
    assert "no part 77" in desk.err


def test_mistakes_are_told_in_one_line(desk: Desk) -> None:
    """A number that is none, a service that is not tracked: exit 1, with what to do."""
    assert desk.run("release", "12") == 1
    assert "no change 12" in desk.err
    assert desk.run("pause", "Marowick") == 1
    assert "did you mean" in desk.err


def test_a_paused_document_is_looked_at_only_when_named(desk: Desk) -> None:
    """`pause` holds over runs, `list` shows it, `resume` ends it, and each says when there was nothing to do."""
    assert desk.json("pause", "marrowick") == [{"service": "Marrowick", "type": "Terms of Service", "done": True}]
    assert desk.json("pause", "marrowick")[0]["done"] is False
    assert desk.json("check")["looked_at"] == 0
    assert desk.json("list")[0]["paused"] is True
    assert desk.json("check", "marrowick")["looked_at"] == 1

    assert desk.json("resume", "marrowick", "Terms of Service")[0]["done"] is True
    assert desk.json("check")["looked_at"] == 1


def test_check_now_makes_a_document_due(desk: Desk) -> None:
    """The process that runs finds it due; here `check --due` is that process."""
    assert desk.json("check", "--due")["looked_at"] == 0
    assert desk.json("check-now", "marrowick")[0]["done"] is True
    assert desk.json("check", "--due")["looked_at"] == 1


def test_history_is_read_anew_by_command(desk: Desk) -> None:
    """After other selectors `re-extract` records what they read, tells nobody, and has nothing to do a second time."""
    desk.show(page(CHANGED, frame=" <b>stall</b>"))
    text = desk.config.read_text(encoding="utf-8").replace("select: .terms", "select: [nav, .terms]")
    desk.config.write_text(text, encoding="utf-8")
    told = desk.json("changes")

    assert desk.json("re-extract") == {"read": 2, "technical": 2, "unfit": 0, "left": 0}
    assert desk.json("re-extract", "marrowick", "--since", "7d")["read"] == 0
    assert desk.json("changes") == told
    desk.show(page((*CLAUSES[:5], CLAUSES[5] + " We do."), frame=" <b>stall</b>"))
    assert len(desk.json("changes")) == 2


def test_variants_are_listed(desk: Desk) -> None:
    """A document that shows one text has no variants; the answer says so."""
    assert desk.json("variants") == []
    assert desk.run("variants", "marrowick") == 0
    assert "No document" in desk.err


def test_the_beginning_of_a_type_is_enough(desk: Desk) -> None:
    """`pause` and its like take a type as `show` does, and name the types where it is none."""
    assert desk.run("pause", "marrowick", "terms") == 0 and "paused" in desk.out
    assert desk.run("pause", "marrowick", "privacy") == 1 and '"Terms of Service"' in desk.err


def test_what_cannot_be_read_is_listed(desk: Desk) -> None:
    """`incidents` says which document, why, and what that means."""
    assert desk.run("incidents") == 0 and "could be read" in desk.err
    desk.site.page("/terms", "<h1>Oops</h1>", 503)
    desk.run("check")

    (found,) = desk.json("incidents", "marrowick")
    assert found["key"]["service"] == "Marrowick"
    assert desk.run("incidents") == 0 and "tried again by itself" in desk.out


def test_deciding_needs_no_secret_of_a_hook(desk: Desk) -> None:
    """A hook that is not set up whole stops what sends, not what an operator decides."""
    desk.show(page(CHANGED))
    (change,) = desk.json("changes")
    text = desk.config.read_text(encoding="utf-8")
    desk.config.write_text(f"{text}hooks: [{{name: desk, url: 'https://desk.example/x'}}]\n", encoding="utf-8")

    assert desk.run("noise", str(change["id"]), "--no-mail") == 0, desk.err
    assert desk.run("re-extract") == 0, desk.err
    assert desk.run("check", "Nope") == 1 and "not tracked" in desk.err
    assert desk.run("check") == 1 and "SECRET" in desk.err
