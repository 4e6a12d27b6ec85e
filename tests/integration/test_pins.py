"""Pinned sentences, from a real page to the outbox: told when they change or go, and only then."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from local_site import Site, serving
from test_track import CHANGED, CLAUSES, KEY, MINUTES_10, Market, page

from tosmon.archive import NotificationRow
from tosmon.cli import tosmon
from tosmon.errors import ArchiveError
from tosmon.judge import Rules, load_rules
from tosmon.model import Addressee, Alert, ClauseChangeKind, EditKind, Severity, TermsKey
from tosmon.track.pinned import pin, tell_of_pins

ADA = "ada@example.net"
FEE_SENTENCE = "We pay out on Fridays, and keep six per cent of the price for running the market."
PICTURES = "You keep the rights to the pictures of your work."


@pytest.fixture(scope="module")
def rules() -> Rules:
    return load_rules()


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as made:
        yield made


@pytest.fixture
def market(site: Site, tmp_path: Path, rules: Rules) -> Iterator[Market]:
    made = Market(site, tmp_path, rules)
    made.look()
    yield made
    made.close()


def pinned(market: Market, sentence: str, recipient: str = ADA) -> int:
    return pin(market.archive, KEY, sentence, recipient, market.now).id


def letters(market: Market, recipient: str = ADA) -> list[NotificationRow]:
    return market.archive.outbox.notifications(recipient=recipient)


def told(market: Market) -> list[Alert]:
    return tell_of_pins(market.world)


def test_changed_sentence_is_told_with_its_words_before_and_now(market: Market) -> None:
    """Whoever pinned the fee reads that it changed, what it was and what it is."""
    pinned(market, FEE_SENTENCE)
    market.change_to(page(CHANGED))

    [alert] = told(market)

    assert alert.headline == "Marrowick Terms of Service: a pinned sentence changed"
    assert alert.summary.endswith(f"“{FEE_SENTENCE}”") and alert.severity is not Severity.LOW
    [passage] = alert.passages
    assert passage.kind is ClauseChangeKind.MODIFIED
    marked = {(edit.kind, edit.text.strip()) for edit in passage.edits if edit.kind is not EditKind.SAME}
    assert marked == {(EditKind.REMOVED, "six"), (EditKind.ADDED, "nine")}
    [letter] = letters(market)
    assert (letter.recipient, letter.channel, letter.headline) == (ADA, "email", alert.headline)


def test_sentence_that_is_gone_is_told_once(market: Market) -> None:
    """A removed clause is a sentence that disappeared; asking again tells nobody again."""
    pinned(market, PICTURES)
    market.change_to(page((*CLAUSES[:2], *CLAUSES[3:])))

    [alert] = told(market)
    assert alert.headline.endswith(": a pinned sentence disappeared")
    assert told(market) == [] and len(letters(market)) == 1
    assert market.archive.pins.all()[0].gone_id == alert.change_id


def test_other_changes_leave_a_pin_alone(market: Market) -> None:
    """What happens elsewhere in the document, or around the sentence in its clause, is no news of it."""
    pinned(market, PICTURES)
    market.change_to(page(CHANGED))
    market.change_to(page((*CHANGED[:2], f"Dear seller: {PICTURES} We show them on Marrowick for ever.", *CHANGED[3:])))

    assert told(market) == [] and letters(market) == []
    assert market.archive.pins.all()[0].gone_id is None


def test_unconfirmed_change_takes_no_pin_away(market: Market) -> None:
    """A page that shows another text once, and the old one minutes later, changed nothing."""
    pinned(market, FEE_SENTENCE)
    market.show(page(CHANGED))
    market.look()
    assert told(market) == []
    market.show(page())
    market.look(MINUTES_10)

    assert told(market) == [] and letters(market) == []


def test_wording_decides_and_not_how_it_is_set(market: Market) -> None:
    """Bold type, curly quotes and letter case are no change of a sentence."""
    pinned(market, "we PAY out on fridays and keep six per cent of the price for running the market")
    bold = CLAUSES[3].replace("six per cent", "<b>Six</b> per cent").replace("Fridays,", "Fridays –")
    market.change_to(
        page((*CLAUSES[:1], "Sellers answer for nothing at all any more, ever.", CLAUSES[2], bold, *CLAUSES[4:]))
    )

    assert told(market) == []


def test_pin_is_on_watch_again_when_its_loss_is_taken_back(market: Market) -> None:
    """A change that is withdrawn gives the sentence back; the next loss is told anew."""
    pinned(market, FEE_SENTENCE)
    market.change_to(page(CHANGED))
    assert len(told(market)) == 1
    market.show(page())
    for _ in range(6):
        market.look(timedelta(days=1))
    assert told(market) == [] and market.archive.pins.all()[0].gone_id is None

    market.change_to(page((*CLAUSES[:3], CLAUSES[3].replace("six", "twenty"), *CLAUSES[4:])))
    assert len(told(market)) == 1 and len(letters(market)) == 2


def test_crash_between_telling_and_noting_it_doubles_nothing(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """The alert is written first; who dies before it is noted finds it there the next time."""
    pinned(market, FEE_SENTENCE)
    market.change_to(page(CHANGED))
    with monkeypatch.context() as patched:
        patched.setattr(
            type(market.archive.pins), "looked_through", lambda *values: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with pytest.raises(KeyboardInterrupt):
            told(market)

    assert told(market) == [] and len(letters(market)) == 1
    assert market.archive.pins.all()[0].gone_id is not None


def test_operators_pin_goes_to_all_configured_and_into_a_feed(market: Market) -> None:
    """Without an address a pin is the operator's: everyone named in the configuration hears, and a feed shows it."""
    pinned(market, FEE_SENTENCE, "")
    pinned(market, FEE_SENTENCE)
    market.change_to(page(CHANGED))

    alerts = tell_of_pins(market.world, [Addressee("email", "desk@example.org")])

    assert len(alerts) == 2 and len(letters(market, "desk@example.org")) == 1
    # What somebody pinned for themselves is nobody else's to read.
    assert [alert.uid for alert in market.archive.browse.alerts("pins")] == [alerts[0].uid]
    assert alerts[0].uid not in {alert.uid for alert in market.archive.browse.alerts("all")}


def test_pin_must_be_a_sentence_of_the_latest_version(market: Market) -> None:
    """A sentence that is not there is refused, with the nearest that is; so are a few words and an unknown document."""
    with pytest.raises(ArchiveError, match="nearest is: “We pay out on Fridays"):
        pinned(market, "We pay out on Mondays, and keep six per cent of the price.")
    with pytest.raises(ArchiveError, match="whole sentence"):
        pinned(market, "the market")
    with pytest.raises(ArchiveError, match="no text is archived"):
        pin(market.archive, TermsKey("Nobody", "Terms of Service"), FEE_SENTENCE, ADA, market.now)


def test_word_that_grows_is_another_word(market: Market) -> None:
    """A sentence ends at its last word: `market` does not stand in `marketplaces`."""
    pinned(market, FEE_SENTENCE)
    market.change_to(
        page((*CLAUSES[:3], CLAUSES[3].replace("the market.", "the marketplaces of others."), *CLAUSES[4:]))
    )
    assert len(told(market)) == 1


def test_pinning_at_the_command_line(market: Market, tmp_path: Path) -> None:
    """pin, pins, unpin."""
    config = tmp_path / "config.yaml"
    config.write_text(
        f"archive: sqlite:///{tmp_path}/archive.sqlite\n"
        f"services: {{Marrowick: {{terms: {{Terms of Service: '{market.site.url('/terms')}'}}}}}}\n"
    )

    def run(*arguments: str) -> tuple[str, BaseException | None]:
        result = CliRunner().invoke(tosmon, ["--config", str(config), *arguments], standalone_mode=False)
        return result.output, result.exception

    assert run("pin", "marrowick", "terms of service", FEE_SENTENCE, "--to", ADA)[1] is None
    [listed] = json.loads(run("pins", "--json")[0])
    assert (listed["sentence"], listed["recipient"], listed["gone_id"]) == (FEE_SENTENCE, ADA, None)
    assert "for ada@example.net: stands" in run("pins")[0]
    assert isinstance(run("pin", "Marrowick", "Terms of Service", "No such sentence stands there.")[1], ArchiveError)
    assert run("pin", "Marrowick", "Terms of Service", FEE_SENTENCE, "--to", "ada@x\nBcc: b@x")[1] is not None
    assert run("unpin", str(listed["id"]))[1] is None
    assert isinstance(run("unpin", str(listed["id"]))[1], ArchiveError)
