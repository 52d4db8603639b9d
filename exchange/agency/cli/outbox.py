"""`outbox` shows what became of what was sent; `receipts` the verified entries of the audit log."""

from __future__ import annotations

import click

from exchange.agency.cli.session import open_client
from exchange.agency.wording import state_words
from exchange.member.cli.options import Options, common_options
from exchange.member.cli.output import print_json, print_json_line, print_table


@click.command()
@common_options
def outbox(options: Options) -> None:
    """List what this agency sent, with the recipients' signed receipts; `lost`: send it again."""
    with open_client(options) as client:
        items = list(client.outbox())
    if options.json:
        print_json(items)
        return
    rows = [
        (one.gid, one.recipient, one.kind, state_words(one.state), state_words(one.outcome or ""))
        for one in items
    ]
    print_table("outbox", ("grant", "to", "kind", "state", "receipt"), rows)


@click.command()
@common_options
def receipts(options: Options) -> None:
    """List the hub's receipts: each was verified against the pinned key of the audit log."""
    with open_client(options) as client:
        found = client.receipts()
        if options.json:
            for one in found:
                print_json_line(
                    {name: getattr(one, name) for name in ("id", "act", "outcome", "reason", "at", "index")}
                )
            return
        rows = [
            (
                f"{one.at:%Y-%m-%d %H:%M:%S}",
                one.act,
                state_words(one.outcome),
                one.reason or "",
                str(one.index),
                one.id,
            )
            for one in sorted(found, key=lambda one: one.index)
        ]
    print_table("receipts", ("time", "what", "outcome", "why", "index", "entry"), rows)
