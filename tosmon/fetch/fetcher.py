"""From a form of terms to the answers of its servers, with good manners."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from tosmon.errors import FetchError, FetchProblem
from tosmon.fetch import shells
from tosmon.fetch.robots import EVERYTHING, Known, KnownRules, Rules, path_of, product, read_rules
from tosmon.fetch.turns import Turns
from tosmon.fetch.vain import Vain
from tosmon.http import Client, host_of, retry_after
from tosmon.http.urls import normal
from tosmon.model import Form, Response, SourceDocument, Validators

_A_DAY = timedelta(days=1)
_SOON = timedelta(minutes=10)
_TRIED_TWICE = frozenset({FetchProblem.DNS, FetchProblem.TIMEOUT})
# A robots.txt that leads nowhere or never ends counts as none (RFC 9309, 2.3.1.2 and 2.5); an unreachable host does not.
_NO_ROBOTS = frozenset({FetchProblem.REDIRECTS, FetchProblem.TOO_LARGE, FetchProblem.PROTOCOL})
_REFUSALS = frozenset({403, 406})
_UNKNOWN = Validators()
_NOTHING_KNOWN: Mapping[str, Validators] = {}


class Renders(Protocol):
    """What the fetcher needs of a browser (`tosmon.browser.Browser`)."""

    @property
    def installed(self) -> bool: ...

    def render(self, source: SourceDocument) -> Response: ...


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of one look: a response for each source document, in their order, or the problem that stopped it.

    With a `problem`, `responses` holds what had come before it. `not_modified`: every server said 304, so the bodies
    are empty. `retry_after` is the longest wait that a server asked for.
    """

    responses: tuple[Response, ...]
    problem: FetchError | None = None
    not_modified: bool = False
    retry_after: timedelta | None = None


class Fetcher:
    """Fetches for all threads of a process: turns and robots.txt are shared. `pause` is per host.

    robots.txt is kept for a day. An answer of 4xx allows everything, one of 5xx nothing (RFC 9309, 2.3.1.4) unless an
    older one is known; a host that cannot be reached is just that.
    """

    def __init__(
        self,
        client: Client,
        *,
        robots: bool = True,
        pause: timedelta = timedelta(seconds=2),
        browser: Renders | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._robots = robots
        self._browser = browser
        self._monotonic = monotonic
        self._turns = Turns(pause, monotonic, sleep)
        self._known_rules = KnownRules()
        self._vain = Vain(monotonic)
        self._agent = product(client.limits.user_agent)

    def fetch(
        self, form: Form, validators: Mapping[str, Validators] = _NOTHING_KNOWN, *, language: str | None = None
    ) -> Fetched:
        """Fetch every source document of a form. `validators` by URL; used only if each URL has some.

        Never raises FetchError: a problem is part of the result.
        """
        wanted = {source.url: source for source in form.sources}
        known = {url: validators.get(url, _UNKNOWN) for url in wanted}
        conditional = all(known[url] != _UNKNOWN and not wanted[url].browser for url in wanted)
        answers: dict[str, Response] = {}
        try:
            for url, source in wanted.items():
                answers[url] = self._answer(source, known[url] if conditional else _UNKNOWN, language)
            if any(answer.status != 304 for answer in answers.values()):
                # The text of a part that did not change is kept nowhere by itself: ask for it after all.
                for url in [url for url, answer in answers.items() if answer.status == 304]:
                    answers[url] = self._answer(wanted[url], _UNKNOWN, language)
        except FetchError as problem:
            return Fetched(tuple(answers.values()), problem, retry_after=problem.retry_after)
        responses = tuple(answers[source.url] for source in form.sources)
        waits = [wait for answer in responses if (wait := retry_after(answer)) is not None]
        return Fetched(
            responses,
            not_modified=all(answer.status == 304 for answer in responses),
            retry_after=max(waits, default=None),
        )

    def rendered(self, form: Form) -> Fetched | None:
        """The same through a browser, for terms whose plain answers turned out to hold no text.

        `None` without a browser, where one was used anyway, and where it was of no use lately (`browser_told`).
        """
        asked = [source.url for source in form.sources if not source.browser]
        if self._browser is None or not self._browser.installed or all(map(self._vain.is_known, asked)):
            return None
        return self.fetch(replace(form, sources=tuple(replace(source, browser=True) for source in form.sources)))

    def browser_told(self, form: Form, *, of_use: bool) -> None:
        """Learn whether what the browser gave was the document; if not, it is left out for hours, then for longer."""
        for source in form.sources:
            if not source.browser:
                (self._vain.forget if of_use else self._vain.note)(source.url)

    def _answer(self, source: SourceDocument, validators: Validators, language: str | None) -> Response:
        self._ask_robots(source.url, wait=True)
        if source.browser:
            rendered = self._rendered(source)
            if rendered is not None:
                return rendered
        answer = self._led_on(self._plain(source.url, validators, language), language)
        needs_it = answer.status in _REFUSALS or self._is_shell(answer, source)
        if needs_it and not source.browser and not self._vain.is_known(source.url):
            try:
                return self._rendered(source) or answer
            except FetchError:
                # The plain answer is better evidence than none.
                return answer
        return answer

    def _led_on(self, answer: Response, language: str | None) -> Response:
        """What stands where a page sends its visitors by itself; once, as such a page leads to the document or nowhere."""
        target = shells.leads_to(answer)
        if target is None:
            return answer
        self._ask_robots(target, wait=True)
        onward = self._plain(target, _UNKNOWN, language)
        # The validators are those of another address: asked of this one they would mean nothing, or the wrong thing.
        headers = tuple(pair for pair in onward.headers if pair[0].lower() not in ("etag", "last-modified"))
        hops = (*answer.redirects, answer.final_url, *onward.redirects)
        return replace(onward, url=answer.url, redirects=hops, headers=headers)

    def _is_shell(self, answer: Response, source: SourceDocument) -> bool:
        return self._browser is not None and self._browser.installed and shells.is_shell(answer, source)

    def _rendered(self, source: SourceDocument) -> Response | None:
        """What a browser makes of it, or `None` without one: then plain HTTP must do, and the verdict will tell."""
        if self._browser is None or not self._browser.installed:
            return None
        try:
            with self._turns.turn(host_of(source.url)):
                return self._browser.render(source)
        except FetchError as error:
            if error.problem is FetchProblem.NO_BROWSER:
                return None
            raise

    def _plain(self, url: str, validators: Validators, language: str | None) -> Response:
        try:
            answer = self._get(url, validators, language)
            if answer.status < 500 or retry_after(answer) is not None:
                return answer
        except FetchError as error:
            if error.problem not in _TRIED_TWICE:
                raise
        return self._get(url, validators, language)

    def _get(self, url: str, validators: Validators, language: str | None) -> Response:
        headers = {"Accept-Language": f"{language},en;q=0.5"} if language and language != "en" else None
        with self._turns.turn(host_of(url)):
            answer = self._client.get(url, validators, each_hop=self._ask_robots, headers=headers)
        if answer.status == 304 and validators == _UNKNOWN:
            raise FetchError(url, "answers 304 to a request without conditions", FetchProblem.PROTOCOL)
        return answer

    def _ask_robots(self, url: str, wait: bool = False) -> None:
        """Raise FetchError if robots.txt does not let us fetch this. `wait` for our turn, unless we hold one already."""
        if not self._robots:
            return
        parts = normal(url)[1]
        rules = self._rules_of(f"{parts.scheme}://{parts.netloc}", parts.netloc if wait else None)
        if not rules.allow(path_of(parts)):
            message = "robots.txt does not let us fetch it; ask the platform, or set politeness.robots to false"
            raise FetchError(url, message, FetchProblem.FORBIDDEN_BY_ROBOTS, transient=False)

    def _rules_of(self, origin: str, host: str | None) -> Rules:
        rules = self._fresh(origin)
        if rules is not None:
            return rules
        # Two hosts that redirect to each other would wait for each other's turn for ever: a hop takes none.
        with self._turns.turn(host) if host is not None else nullcontext():
            return self._fresh(origin) or self._fetched_rules(origin)

    def _fresh(self, origin: str) -> Rules | None:
        known = self._known_rules.get(origin)
        return known.rules if known is not None and self._monotonic() - known.at < known.lasts else None

    def _fetched_rules(self, origin: str) -> Rules:
        url = f"{origin}/robots.txt"
        known = self._known_rules.get(origin)
        lasts = _A_DAY
        try:
            answer = self._client.get(url)
        except FetchError as error:
            if error.problem not in _NO_ROBOTS:
                raise
            rules = EVERYTHING
        else:
            if answer.status >= 500:
                if known is None:
                    message = (
                        f"answers {answer.status}, which forbids everything until it is mended (RFC 9309); "
                        "set politeness.robots to false to look all the same"
                    )
                    raise FetchError(
                        url, message, FetchProblem.FORBIDDEN_BY_ROBOTS, retry_after=retry_after(answer) or _SOON
                    )
                rules, lasts = known.rules, _SOON
            elif answer.status >= 400:
                rules = EVERYTHING
            else:
                rules = read_rules(answer.body, self._agent)
        self._known_rules.put(origin, Known(rules, self._monotonic(), lasts.total_seconds()))
        return rules
