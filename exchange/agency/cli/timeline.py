"""`timeline`: what happened in a child's case between this agency and others, in its order."""

from __future__ import annotations

import click

from exchange.agency.cli.session import open_client
from exchange.agency.timeline import responsible, words
from exchange.member.cli.ids import IdCommand
from exchange.member.cli.options import Options, common_options
from exchange.member.cli.output import print_json, print_table, say
from exchange.words import gettext


@click.command(cls=IdCommand)
@common_options
@click.argument("ref", required=False)
@click.option("--thread", help="One thread, instead of all threads of the record REF.")
def timeline(options: Options, ref: str | None, thread: str | None) -> None:
    """Show what was sent and opened about the record REF: steps towards papers, requests, answers.

    \b
    Examples:
      exchange-agency timeline 7Hq2
      exchange-agency timeline --thread QuiToaYTHPEid8_3n8l5lA
    """
    if (ref is None) is (thread is None):
        raise click.UsageError("name a record, or a thread with --thread")
    with open_client(options) as client:
        items = client.timeline(record=ref, thread=thread)
    if options.json:
        print_json(items)
        return
    rows = [
        (f"{item.when:%Y-%m-%d %H:%M}", item.sender, item.recipient, item.kind, words(item)) for item in items
    ]
    print_table("timeline", ("time", "from", "to", "what", "says"), rows)
    if thread is not None:
        say("responsible: {agency}", agency=responsible(items) or gettext("nobody by an accepted offer"))
