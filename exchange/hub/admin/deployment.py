"""`exchange-hub deployment`: the file that members pin out of band.

Public keys only. The file is worth what the way it travels is worth: hand it over in person or read its
digest by voice.
"""

from __future__ import annotations

from pathlib import Path

import click

from exchange.hub.admin.commands import Target, examples, hub_command, language_option
from exchange.hub.admin.opened import opened_hub
from exchange.hub.services.deployment import deployment
from exchange_keys.durable import durable_file
from exchange_schemas.codec import b64u, encode, sha256


@click.group(name="deployment", short_help="What members pin of this hub.")
@language_option
def group() -> None:
    """What members pin of this hub: its name, address, operators and log keys."""


@group.command(epilog=examples("exchange-hub deployment export homeward.json"))
@hub_command
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def export(target: Target, file: Path) -> None:
    """Write FILE for the agencies; they pin what is in it and believe no other copy."""
    with opened_hub(target) as hub:
        pins = deployment(hub)
    data = encode(pins) + b"\n"
    with durable_file(file, replace=True) as written:
        written.write(data)
    target.out.done(
        "wrote {file}; its digest, for reading by voice: {sha256}",
        {"file": str(file), "sha256": b64u(sha256(data)), "deployment": pins},
    )
