"""Links, choices, digests and letters of subscribers, without archive, network or clock."""

from __future__ import annotations

import email
import email.policy
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from functools import partial
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tosmon.deliver import ChannelDown, Delivered, RecipientRefused, deliver_letters
from tosmon.errors import DeliveryError
from tosmon.model import (
    Addressee,
    Alert,
    AlertKind,
    Choices,
    Direction,
    Flag,
    Frequency,
    Letter,
    LetterKind,
    Severity,
    Subscriber,
    SubscriberState,
    TermsKey,
)
from tosmon.publish import FeedSettings, MailSettings
from tosmon.publish.addressing import addressed, checked_address, next_digest, wants, zone_of
from tosmon.publish.letters import WEEKDAYS, described, letter_mail, masked, when
from tosmon.publish.signed import Purpose, Signer
from tosmon.web.sessions import network_of
from tosmon.web.subscribing import zones

NOW = datetime(2026, 10, 21, 14, 0, tzinfo=UTC)
HANDLE = "00112233445566778899aabb"
SIGNER = Signer("a secret")
MAILS = MailSettings(
    "Terms we live by <alerts@example.org>",
    FeedSettings("Terms we live by", "https://terms.example", "example.org", date(2026, 1, 31)),
)
ADA = Subscriber(1, HANDLE, "ada@example.net", SubscriberState.CONFIRMED, Choices(), NOW)
ALERT = Alert(
    uid="tag:example.org,2026-01-31:change/1",
    kind=AlertKind.CHANGE,
    at=NOW,
    service="Paintbox",
    service_name="Paintbox",
    type="Terms of Service",
    url="https://paintbox.example/terms",
    headline="Paintbox Terms of Service: keeps your pictures longer",
    severity=Severity.MEDIUM,
    flags=(Flag("ai_training", Direction.WORSE, "may train on it"), Flag("content_license", Direction.WORSE, "wider")),
    tags=("art",),
    change_id=7,
)


# --- links --------------------------------------------------------------------------------------------------------


@given(st.sampled_from(Purpose), st.binary(min_size=12, max_size=12), st.integers(0, 2**63 - 1), st.booleans())
def test_a_link_says_what_was_put_in(purpose: Purpose, handle: bytes, number: int, ends: bool) -> None:
    """A genuine link gives its subscriber and number back, until its time is over and as too old after that."""
    until = NOW + timedelta(days=7) if ends else None
    token = SIGNER.token(purpose, handle.hex(), number, until)

    for at, expired in ((NOW, False), (NOW + timedelta(days=7), False), (NOW + timedelta(days=7, seconds=1), ends)):
        claim = SIGNER.read(purpose, token, at)
        assert claim is not None
        assert (claim.handle, claim.number, claim.expired) == (handle.hex(), number, expired)
    assert all(SIGNER.read(other, token, NOW) is None for other in Purpose if other is not purpose)
    assert Signer("another").read(purpose, token, NOW) is None


@given(st.data())
def test_no_other_spelling_of_a_link_is_genuine(data: st.DataObject) -> None:
    """Whatever is changed in a link, be it one bit of its last letter, makes it a forged one."""
    token = SIGNER.token(Purpose.CHOICES, HANDLE, 5)
    at = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.characters(exclude_characters=token[at]))

    assert SIGNER.read(Purpose.CHOICES, token[:at] + letter + token[at + 1 :], NOW) is None


@given(st.text())
def test_nonsense_is_no_link(text: str) -> None:
    """Text that nobody signed is refused, never an error."""
    assert SIGNER.read(Purpose.LEAVE, text, NOW) is None


def test_links_are_fit_for_addresses_and_hold_no_address() -> None:
    """Letters, digits, `-` and `_`: nothing to be escaped, nothing to be wrapped by mail programs at."""
    token = SIGNER.token(Purpose.CONFIRM, HANDLE, 1, NOW)
    assert len(token) == 64 and token.replace("-", "").replace("_", "").isalnum() and token.isascii()


def test_marks_count_without_telling() -> None:
    """The same text gives the same mark, another secret or kind another one, and the text is not in it."""
    mark = SIGNER.mark("address", "ada@example.net")
    assert mark == SIGNER.mark("address", "ada@example.net") and "ada" not in mark.removeprefix("address:")
    assert len({mark, SIGNER.mark("network", "ada@example.net"), Signer("x").mark("address", "ada@example.net")}) == 3


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("203.0.113.7", "203.0.113"),
        ("::ffff:203.0.113.7", "203.0.113"),
        ("2001:db8:1:2a00::1", "2001:0db8:0001:2a"),
        ("2001:db8:1:2aff:1::1", "2001:0db8:0001:2a"),
        ("fe80::1%eth0", "fe80:0000:0000:00"),
        ("testclient", ""),
        ("203.0.113.7, 198.51.100.9", ""),
        ("", ""),
    ],
)
def test_a_network_is_as_far_as_a_household_goes(host: str, network: str) -> None:
    """Neighbours in a /24, or a /56 of IPv6, count as one: both are had by the thousand for nothing."""
    assert network_of(host) == network


# --- addresses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        "", "ada", "ada@host", "a b@example.net", "a@b.c\r\nBcc: x@y.z", "<a@b.cd>", "a@.", "@b.c",
        "=?utf-8?q?v=0d=0aBcc=3A_x=40y=2Ez?=@target.example", "a@-b.example", "a@10.0.0.1",
    ],
)  # fmt: skip
def test_what_is_no_address_is_none(written: str) -> None:
    """One plain address or nothing."""
    assert checked_address(written) is None


def test_a_final_dot_makes_no_second_address() -> None:
    """`example.net.` is `example.net`: nobody subscribes twice by a dot."""
    assert checked_address("ada@example.net.") == "ada@example.net"


@given(st.text(max_size=300))
@example("a@b.c\r\nBcc: x@y.z")
def test_a_checked_address_is_one_line_with_one_at(written: str) -> None:
    """Whatever is typed, what is kept can be put into a header: no break, no space, one `@`, a domain in ASCII."""
    kept = checked_address(written)
    if kept is not None:
        user, _, domain = kept.rpartition("@")
        assert user and "@" not in user and domain.isascii() and "." in domain
        assert not any(sign.isspace() for sign in kept) and kept.isprintable()
        assert checked_address(kept) == kept


@pytest.mark.parametrize(
    ("address", "mask"),
    [("ada.lovelace@example.net", "a…@e….net"), ("x@y.z", "x…@y….z"), ("josé@xn--bcher-kva.example", "j…@x….example")],
)
def test_a_mask_is_known_to_its_owner_alone(address: str, mask: str) -> None:
    """The first letters and the ending: enough to know one's own address by."""
    assert masked(address) == mask


# --- who is told --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choices", "wanted"),
    [
        (Choices(), True),
        (Choices(severity=Severity.MEDIUM), True),
        (Choices(severity=Severity.HIGH), False),
        (Choices(topics=("ai_training", "x")), True),
        (Choices(topics=("ai_restriction",)), False),
        (Choices(services=("Paintbox",)), True),
        (Choices(services=("paintbox",)), False),  # keys are keys
        (Choices(tags=("art", "music")), True),
        (Choices(tags=("music",)), False),
        (Choices(services=("Paintbox",), topics=("ai_training",), tags=("music",)), False),
    ],
)
def test_every_filter_must_fit(choices: Choices, wanted: bool) -> None:
    """Within a filter one match is enough; all filters that are set must match."""
    assert wants(choices, ALERT) is wanted


def test_only_who_said_yes_is_told() -> None:
    """Asked, left, suspended, paused, or without ears for that document: not told."""
    assert addressed("email", ADA, ALERT, NOW, ()) == Addressee("email", ADA.address)
    silent = [replace(ADA, state=state) for state in SubscriberState if state is not SubscriberState.CONFIRMED]
    silent += [replace(ADA, paused=True), replace(ADA, muted=frozenset({TermsKey("Paintbox", "Terms of Service")}))]
    assert [addressed("email", one, ALERT, NOW, ()) for one in silent] == [None] * 5


@pytest.mark.parametrize("kind", [AlertKind.REMINDER, AlertKind.CORRECTION, AlertKind.WITHDRAWN])
def test_follow_ups_go_by_who_was_told_and_not_by_choices(kind: AlertKind) -> None:
    """Whoever was told hears how it went on, even when their choices changed in between; nobody else does."""
    choosy = replace(ADA, choices=Choices(severity=Severity.HIGH))
    follow_up = replace(ALERT, kind=kind, corrects=ALERT.uid)
    assert addressed("email", choosy, follow_up, NOW, {("email", ADA.address)}) is not None
    assert addressed("email", ADA, follow_up, NOW, {("email", "ben@example.net")}) is None


def test_alerts_of_one_digest_share_its_name() -> None:
    """All that is due at the same moment goes into one bundle; the next day's is another."""
    daily = replace(ADA, choices=Choices(frequency=Frequency.DAILY, hour=18, zone="Europe/Berlin"))
    morning, noon, night = (
        addressed("email", daily, ALERT, datetime(2026, 10, 21, hour, tzinfo=UTC), ()) for hour in (6, 12, 16)
    )
    assert morning is not None and noon is not None and night is not None
    assert morning == noon == Addressee("email", ADA.address, morning.due, "daily 2026-10-21T16:00:00+00:00")
    assert night.bundle == "daily 2026-10-22T16:00:00+00:00"


# --- when ---------------------------------------------------------------------------------------------------------

# They moved over the date line, and so had a week of six days.
SKIPPED_A_DAY = (
    "Pacific/Apia",
    "Pacific/Fakaofo",
    "Pacific/Enderbury",
    "Pacific/Kanton",
    "Pacific/Kiritimati",
    "Pacific/Kwajalein",
)
ZONES = [name for names in zones().values() for name in names]
MOMENTS = st.timedeltas(timedelta(0), timedelta(days=17_000)).map(
    lambda later: datetime(1990, 1, 1, tzinfo=UTC) + later
)
DAILY = st.builds(Choices, frequency=st.just(Frequency.DAILY), hour=st.integers(0, 23), zone=st.sampled_from(ZONES))
WEEKLY = st.builds(
    Choices,
    frequency=st.just(Frequency.WEEKLY),
    hour=st.integers(0, 23),
    weekday=st.integers(0, 6),
    zone=st.sampled_from(ZONES),
)


def due(choices: Choices, after: datetime) -> datetime:
    found = next_digest(choices, after)
    assert found is not None
    return found


@given(DAILY | WEEKLY, MOMENTS)
@example(Choices(frequency=Frequency.DAILY, hour=2, zone="Europe/Berlin"), datetime(2026, 3, 28, 23, 59, tzinfo=UTC))
@example(Choices(frequency=Frequency.DAILY, hour=8, zone="Pacific/Apia"), datetime(2011, 12, 29, 20, 0, tzinfo=UTC))
def test_a_digest_is_due_at_its_hour_and_day(choices: Choices, after: datetime) -> None:
    """Strictly later, within a day or week and what clocks were put by; at the hour that was chosen, or as soon as a
    skipped hour is over."""
    found = due(choices, after)
    local = found.astimezone(ZoneInfo(choices.zone))
    longest = timedelta(days=1 if choices.frequency is Frequency.DAILY else 7) + timedelta(days=1)

    assert after < found <= after + longest
    exact = local.hour == choices.hour and local.minute == 0
    before = found - timedelta(minutes=1)
    assert exact or before.astimezone(local.tzinfo).utcoffset() != local.utcoffset() or _was_put_forward(local, choices)
    if choices.frequency is Frequency.WEEKLY and choices.zone not in SKIPPED_A_DAY:
        assert local.weekday() == choices.weekday


def _was_put_forward(local: datetime, choices: Choices) -> bool:
    """Whether the wall clock never showed the hour on that day."""
    wanted = local.replace(hour=choices.hour, minute=0, second=0, microsecond=0, fold=0)
    return wanted.astimezone(UTC).astimezone(local.tzinfo).replace(tzinfo=None) != wanted.replace(tzinfo=None)


@given(DAILY | WEEKLY, MOMENTS, st.timedeltas(timedelta(0), timedelta(days=9)))
def test_later_alerts_never_go_earlier(choices: Choices, after: datetime, later: timedelta) -> None:
    """Digests keep the order of time, and between two of them everything goes into the second."""
    first, second = due(choices, after), due(choices, after + later)
    assert first <= second
    assert (first == second) is (after + later < first)


@given(DAILY, st.dates(date(1990, 1, 1), date(2036, 12, 1)))
def test_each_day_has_one_digest(choices: Choices, day: date) -> None:
    """Over a month there are as many daily digests as days, whatever the clocks were put by, but where a whole day was
    skipped."""
    start = datetime.combine(day, datetime.min.time(), UTC)
    at, digests = start, []
    while (at := due(choices, at)) <= start + timedelta(days=30):
        digests.append(at)
    zone = ZoneInfo(choices.zone)
    skipped = abs(
        (start.astimezone(zone).utcoffset() or timedelta()) - (at.astimezone(zone).utcoffset() or timedelta())
    )
    assert len(digests) in ((29, 30, 31) if skipped > timedelta(hours=3) else (30,) if not skipped else (29, 30, 31))


def test_summer_time_moves_the_digest_with_the_reader() -> None:
    """Eight in Berlin is six UTC in summer and seven in winter; the skipped hour is made up for, the doubled goes once."""
    eight = Choices(frequency=Frequency.DAILY, hour=8, zone="Europe/Berlin")
    assert due(eight, datetime(2026, 10, 24, 0, tzinfo=UTC)) == datetime(2026, 10, 24, 6, tzinfo=UTC)
    assert due(eight, datetime(2026, 10, 25, 0, tzinfo=UTC)) == datetime(2026, 10, 25, 7, tzinfo=UTC)

    two = replace(eight, hour=2)
    assert due(two, datetime(2026, 3, 28, 12, tzinfo=UTC)) == datetime(
        2026, 3, 29, 1, tzinfo=UTC
    )  # 3 o'clock summer time
    assert due(two, datetime(2026, 10, 24, 12, tzinfo=UTC)) == datetime(2026, 10, 25, 0, tzinfo=UTC)
    assert due(two, datetime(2026, 10, 25, 0, tzinfo=UTC)) == datetime(2026, 10, 26, 1, tzinfo=UTC)


def test_at_once_is_no_digest() -> None:
    """Whoever wants to be told at once waits for nothing."""
    assert next_digest(Choices(), NOW) is None


def test_a_zone_that_is_no_more_is_utc() -> None:
    """A time zone that this machine does not know delays no alert."""
    choices = Choices(frequency=Frequency.DAILY, hour=8, zone="Mars/Olympus")
    assert zone_of("Mars/Olympus") is UTC and zone_of("Europe") is UTC
    assert due(choices, NOW) == datetime(2026, 10, 22, 8, tzinfo=UTC)


# --- letters ------------------------------------------------------------------------------------------------------


def letter(kind: LetterKind = LetterKind.CONFIRM, choices: Choices | None = None) -> Letter:
    return Letter(3, "ab" * 16, kind, ADA, choices or Choices(), NOW, 1)


def sent(one: Letter, settings: MailSettings = MAILS, names: dict[str, str] | None = None) -> EmailMessage:
    """The letter as a mailbox gets it."""
    written = letter_mail(one, settings, SIGNER, now=NOW, names=names, copy={"address": ADA.address})
    received = email.message_from_bytes(written.as_bytes(), policy=email.policy.default)
    assert isinstance(received, EmailMessage)
    return received


@pytest.mark.parametrize("kind", LetterKind)
def test_letters_are_mails_of_ours(kind: LetterKind) -> None:
    """Each kind has every header that mails of ours have, both bodies, and no defect."""
    message = sent(letter(kind))
    assert message["To"] == ADA.address and message["From"] == "Terms we live by <alerts@example.org>"
    assert message["Message-ID"] == f"<letter.{'ab' * 16}@example.org>" and message["Date"].datetime == NOW
    assert message["Auto-Submitted"] == "auto-generated" and message["List-Id"].endswith("<alerts.example.org>")
    assert [defect for part in message.walk() for defect in part.defects] == []
    for body in ("plain", "html"):
        part = message.get_body((body,))
        assert part is not None and "https://terms.example/" in part.get_content()
    assert (message["List-Unsubscribe"] is None) is (kind is LetterKind.CONFIRM)
    assert len(message.as_bytes()) < 40_000


def test_a_letter_is_the_same_at_each_attempt() -> None:
    """Nothing in a question depends on when it is sent but its Date: the link ends a week after it was asked."""
    first = letter_mail(letter(), MAILS, SIGNER, now=NOW)
    second = letter_mail(replace(letter(), attempts=5), MAILS, SIGNER, now=NOW + timedelta(hours=9))
    bodies = [message.get_body(("plain",)) for message in (first, second)]
    assert bodies[0] is not None and bodies[1] is not None
    assert (
        bodies[0].get_content() == bodies[1].get_content() and "28 October 2026, 14:00 UTC" in bodies[0].get_content()
    )
    assert first["Message-ID"] == second["Message-ID"]


HOSTILE = 'X\r\nBcc: victim@example.org\u202e=?utf-8?q?=0d=0aX-Evil:_1?= <script>alert(1)</script> "' + "y" * 5000


@pytest.mark.parametrize("kind", LetterKind)
def test_hostile_names_stay_words(kind: LetterKind) -> None:
    """Names of archives, services, tags and topics can add no header, no tag and no megabyte."""
    settings = replace(MAILS, feeds=replace(MAILS.feeds, title=HOSTILE))
    choices = Choices(("Evil",), (HOSTILE,), (HOSTILE,))
    message = sent(letter(kind, choices), settings, {"Evil": HOSTILE})
    assert message["Bcc"] is None and message["X-Evil"] is None
    assert message["To"] == ADA.address
    html = message.get_body(("html",))
    assert html is not None and "<script>" not in html.get_content() and "\u202e" not in html.get_content()
    assert len(message.as_bytes()) < 60_000


def test_choices_are_said_in_words() -> None:
    """What, how severe, when: as a person would say it."""
    choices = Choices(
        ("X", "Y", "Z"), ("ai_training",), ("art",), Severity.HIGH, Frequency.WEEKLY, 18, 4, "Europe/Berlin"
    )
    assert described(choices, {"X": "Paintbox"}) == [
        "Changes at Paintbox, Y and Z about AI training on your work, tagged art",
        "Of high severity only",
        "In one mail every Friday at 18:00 (Europe/Berlin)",
    ]
    assert described(Choices(), {})[0] == "Changes at every platform in the archive"
    assert described(Choices(tuple("abcdefghijklmnop")), {})[0].endswith("and 4 more")
    assert when(Choices(frequency=Frequency.DAILY, hour=7)) == "In one mail every day at 07:00 (UTC)"
    assert len(WEEKDAYS) == 7


# --- sending letters ----------------------------------------------------------------------------------------------


class Box:
    """Letters that wait, and what became of them."""

    def __init__(self, count: int) -> None:
        self.waiting = [replace(letter(), id=number) for number in range(count)]
        self.settled: list[tuple[int, str]] = []

    def claim_letters(self, now: datetime, limit: int, lease: timedelta) -> list[Letter]:
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return taken

    def settle_letter_sent(self, letter_id: int, now: datetime) -> None:
        self.settled.append((letter_id, "sent"))

    def settle_letter_failed(self, letter_id: int, error: str, retry_at: datetime | None) -> None:
        self.settled.append((letter_id, "later" if retry_at else "dead"))


class Postman:
    """Takes mails until the errors that it is given come up."""

    def __init__(self, *ends: Exception | None) -> None:
        self.ends = list(ends)
        self.closed = 0

    def post(self, message: EmailMessage) -> None:
        end = self.ends.pop(0)
        if end is not None:
            raise end

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize(
    ("ends", "settled", "delivered"),
    [
        ((None, None, None), ["sent"] * 3, Delivered(sent=3)),
        ((DeliveryError("full", permanent=False), None, None), ["later", "sent", "sent"], Delivered(2, 1, 0)),
        ((RecipientRefused("gone"), None, None), ["dead", "sent", "sent"], Delivered(2, 0, 1)),
        ((None, ChannelDown("away")), ["sent", "later"], Delivered(1, 1, 0)),
        ((RuntimeError("a bug"), None, None), ["later", "sent", "sent"], Delivered(2, 1, 0)),
    ],
)
def test_one_letter_that_fails_holds_up_no_other(
    ends: tuple[Exception | None, ...], settled: list[str], delivered: Delivered
) -> None:
    """Refusals and bugs concern their letter alone; a server that is away ends the round, and each ends closed."""
    box, postman = Box(3), Postman(*ends)
    render = partial(letter_mail, settings=MAILS, signer=SIGNER, now=NOW)
    assert deliver_letters(box, postman, render, lambda: NOW) == delivered
    assert [end for _, end in box.settled] == settled and postman.closed == 1


def test_an_empty_letterbox_touches_no_server() -> None:
    """Asked every few seconds, and there is seldom a letter."""
    postman = Postman()
    assert deliver_letters(Box(0), postman, lambda one: EmailMessage(), lambda: NOW) == Delivered()
    assert deliver_letters(Box(2), postman, lambda one: EmailMessage(), lambda: NOW, stop=lambda: True) == Delivered()
    assert postman.closed == 0
