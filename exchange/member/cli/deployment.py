"""`deployment`: what this member pins of its deployment, and taking a new file from the operator."""

from __future__ import annotations

from pathlib import Path

import click

from exchange.member.cli.options import Options, common_options
from exchange.member.cli.output import print_json, say
from exchange.member.cli.session import open_unlocked
from exchange.member.deployment import MAX_BYTES, Deployment
from exchange.member.files import read_bounded
from exchange.member.pins import update_pins
from exchange_schemas.codec import b64u, sha256


@click.group()
@common_options
def deployment(options: Options) -> None:
    """What this agency pins of its deployment."""


@deployment.command("update")
@common_options
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def update(options: Options, file: Path) -> None:
    """Take the operator's new deployment FILE, after a change of a log key, the address or the witnesses.

    Compare its digest with the operator by voice. Name and beginning of the deployment can never change, and
    a new log key is taken only while the log signs with both.

    \b
    Example:
      exchange-agency deployment update homeward.json
    """
    data = read_bounded(file, limit=MAX_BYTES, what="deployment file")
    new = Deployment.from_bytes(data.removesuffix(b"\n"))
    if not options.json:
        say("digest, for reading by voice: {digest}", digest=b64u(sha256(data)))
    with open_unlocked(options) as session:
        changed = update_pins(session, new)
    if options.json:
        print_json({"changed": changed})
        return
    if changed:
        say("changed: {names}", names=", ".join(changed))
    else:
        say("nothing is new in this file")
