"""Hooks from the configuration: their channels, who gets what, and `tosmon hook-test` to prove them before it matters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

import click

from tosmon.cli import ERROR, Settings
from tosmon.cli.sample import sample
from tosmon.cli.terminal import one_line, say
from tosmon.cli.wiring import choices_of, client_of, config_of, feed_settings, identity_of, now, opened_archive
from tosmon.config import Hook, HookKind, Politeness
from tosmon.deliver import Channel
from tosmon.deliver.hooks import AppriseChannel, WebhookChannel
from tosmon.errors import ConfigError, DeliveryError
from tosmon.http import addresses
from tosmon.model import Addressee, Alert
from tosmon.publish import FeedSettings
from tosmon.publish.addressing import wants

HOOK = "hook:"
"""What the channel of a hook begins with; its name follows, so that each is a channel of its own."""


def hook_channels(
    hooks: Sequence[Hook], politeness: Politeness, feeds: FeedSettings, stack: ExitStack
) -> dict[str, Channel]:
    """The channel of each hook; raises ConfigError where a secret is missing. `stack` closes what they open."""
    channels: dict[str, Channel] = {}
    for hook in hooks:
        if hook.address is None:
            raise ConfigError(
                f"hooks: {hook.name} leads nowhere; set its url, or {hook.variable}_URL in the environment"
            )
        private = hook.allow_private_addresses
        client = client_of(politeness.model_copy(update={"allow_private_addresses": private}), feeds.site_url)
        stack.callback(client.close)
        if hook.kind is HookKind.APPRISE:
            check = None if private else _check_public
            try:
                channels[f"{HOOK}{hook.name}"] = AppriseChannel(hook.address, check, feeds, _CHAT_LIMIT)
            except DeliveryError as error:
                raise ConfigError(f"hooks: {hook.name}: {error}") from error
            continue
        if hook.secret is None:
            raise ConfigError(
                f"hooks: {hook.name} has no secret to sign with; set {hook.variable}_SECRET in the environment"
            )
        secret = hook.secret.get_secret_value()
        try:
            channels[f"{HOOK}{hook.name}"] = WebhookChannel(hook.address, secret, client, feeds, now)
        except DeliveryError as error:
            raise ConfigError(f"hooks: {hook.name}: {error}; correct it, or {hook.variable}_URL") from error
    return channels


_CHAT_LIMIT = 20  # alerts an hour: what comes beyond goes in one message


def _check_public(host: str, port: int) -> None:
    addresses.checked(host, host, port, allow_private=False)


def hook_addressees(
    hooks: Sequence[Hook], others: Callable[[Alert], list[Addressee]]
) -> Callable[[Alert], list[Addressee]]:
    """The hooks that get an alert, after the others who do."""
    choices = {hook.name: choices_of(hook) for hook in hooks}

    def addressees(alert: Alert) -> list[Addressee]:
        told = [Addressee(f"{HOOK}{name}", name) for name, chosen in choices.items() if wants(chosen, alert)]
        return [*others(alert), *told]

    return addressees


@click.command("hook-test")
@click.argument("names", nargs=-1, metavar="[NAME]…")
@click.pass_obj
def hook_test_command(settings: Settings, names: tuple[str, ...]) -> int:
    """Send one invented alert to each configured hook (or to those called NAME)."""
    config = config_of(settings)
    known = {hook.name for hook in config.hooks}
    if not known:
        raise ConfigError("hooks: none is configured; wake the hooks section of the configuration first")
    for name in names:
        if name not in known:
            raise ConfigError(f"there is no hook called {one_line(name, 40)}; there are: {', '.join(sorted(known))}")
    chosen = [hook for hook in config.hooks if not names or hook.name in names]
    failed = 0
    with ExitStack() as stack:
        archive = stack.enter_context(opened_archive(config))
        feeds = feed_settings(config, identity_of(config, archive))
        for name, channel in hook_channels(chosen, config.politeness, feeds, stack).items():
            try:
                channel.send(sample(name, name.removeprefix(HOOK), feeds.authority))
            except DeliveryError as error:
                failed += 1
                say(f"{name}: not taken: {one_line(str(error))}", "red")
            else:
                say(f"{name}: taken", "green")
    return ERROR if failed else 0
