"""`tosmon pin`, `pins` and `unpin`: hear of one sentence when it changes or goes."""

from __future__ import annotations

import click

from tosmon.cli import Settings
from tosmon.cli.terminal import one_line, print_json, say, stdout, styled
from tosmon.cli.wiring import config_of, declared_terms, now, reading, wanted
from tosmon.config.values import address
from tosmon.errors import ArchiveError, ConfigError


@click.command("pin")
@click.argument("service")
@click.argument("type")
@click.argument("sentence")
@click.option(
    "--to", "recipient", default="", help="Mail to this address; else to all of email.recipients, and a feed."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def pin_command(settings: Settings, service: str, type: str, sentence: str, recipient: str, as_json: bool) -> None:
    """Pin a SENTENCE of the document of that SERVICE and TYPE: an alert comes when it changes or disappears.

    The sentence must stand in the latest version, word for word; punctuation and letter case do not matter.
    """
    from tosmon.track.pinned import pin

    if recipient:
        try:
            address(recipient)
        except ValueError as error:
            raise ConfigError(f"--to: expected a mail address, got {one_line(recipient, 60)!r}") from error
    documents = wanted(declared_terms(config_of(settings)), [service], [type])
    with reading(settings) as (_, archive):
        made = pin(archive, documents[0].key, sentence, recipient, now())
    if as_json:
        print_json(made)
    else:
        say(f"Pinned as {made.id}: {made.key}: {one_line(made.sentence)}")


@click.command("pins")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def pins_command(settings: Settings, as_json: bool) -> None:
    """List pinned sentences, and those that are gone."""
    with reading(settings) as (_, archive):
        pins = archive.pins.all()
    if as_json:
        print_json(pins)
        return
    for one in pins:
        whom = one_line(one.recipient, 60) or "all"
        state = f"gone with change {one.gone_id}" if one.gone_id else "stands"
        stdout().print(styled(f"{one.id:>5}  {one_line(str(one.key), 80)}, for {whom}: {state}"))
        stdout().print(styled(f"{'':>7}{one_line(one.sentence)}", "dim" if one.gone_id else ""))
    if not pins:
        say("Nothing is pinned. Pin a sentence with: tosmon pin SERVICE TYPE SENTENCE", "dim")


@click.command("unpin")
@click.argument("ids", type=int, nargs=-1, required=True, metavar="ID…")
@click.pass_obj
def unpin_command(settings: Settings, ids: tuple[int, ...]) -> None:
    """Forget pinned sentences, by the ids that `tosmon pins` lists."""
    with reading(settings) as (_, archive):
        for one in ids:
            if not archive.pins.remove(one):
                raise ArchiveError(f"there is no pin {one}; see: tosmon pins")
            say(f"{one}: forgotten.")
