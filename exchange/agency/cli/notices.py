"""`notices`: what the hub announces to a commission: sharing on vital interest."""

from __future__ import annotations

import click

from exchange.agency.cli.session import open_client
from exchange.member.cli.options import Options, common_options
from exchange.member.cli.output import alarm, print_json, say


@click.command()
@common_options
@click.option("--all", "everything", is_flag=True, help="Those that were looked at before as well.")
def notices(options: Options, everything: bool) -> None:
    """Show every sharing on vital interest that this commission has not looked at yet.

    Vital interest needs two approvers and lasts 72 hours at most; a commission looks at each. What is shown
    counts as looked at.

    \b
    Example:
      exchange-agency notices
    """
    with open_client(options) as client:
        new = client.notices.collect()
        found = list(client.notices.each()) if everything else new
        client.notices.mark_seen(new)
    if options.json:
        print_json(found)
        return
    for one in found:
        alarm(
            "{when} UTC, log entry {entry}: VITAL INTEREST: {issuer} shares {fields} with {recipient} "
            "for {purposes} until {end} UTC",
            when=f"{one.at:%Y-%m-%d %H:%M}",
            entry=one.entry,
            issuer=one.issuer,
            fields=", ".join(one.fields),
            recipient=one.recipient,
            purposes=", ".join(one.purposes),
            end=f"{one.expires:%Y-%m-%d %H:%M}",
        )
    if not found:
        say("nothing new was shared on vital interest")
