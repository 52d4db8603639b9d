"""`directory`: this agency's own verified copy of the key directory."""

from __future__ import annotations

import click

from exchange.agency.cli.session import open_client
from exchange.member.cli.options import Options, common_options
from exchange.member.cli.output import alarm, print_json, print_table, say


@click.group()
@common_options
def directory(options: Options) -> None:
    """The agencies and their keys, replayed from the operators' signed log."""


@directory.command("sync")
@common_options
def sync(options: Options) -> None:
    """Fetch and verify what is new: directory, consents, receipts.

    \b
    Example:
      exchange-agency --home ngo directory sync
    """
    with open_client(options) as client:
        report = client.sync()
    for text in report.alarms:
        alarm(text)
    if options.json:
        print_json(report)
        return
    say(f"directory: {report.directory_size} events, {report.new_events} new")
    say(f"consents: {report.consents}; receipts fetched: {report.receipts}")


@directory.command("show")
@common_options
@click.argument("agency", required=False)
def show(options: Options, agency: str | None) -> None:
    """Show all agencies, or one with its keys.

    \b
    Example:
      exchange-agency --home ngo directory show embassy-a
    """
    with open_client(options) as client:
        agencies = client.agencies()
        keys = client.keys_of(agency) if agency is not None else []
    if options.json:
        shown = [one for one in agencies if agency in (None, one.agency)]
        print_json({"agencies": shown, "keys": keys} if agency is not None else shown)
        return
    if agency is None:
        rows = [(one.agency, one.name, one.kind, one.country, one.status) for one in agencies]
        print_table("agencies", ("agency", "name", "kind", "country", "status"), rows)
        return
    print_table(
        f"keys of {agency}",
        ("use", "alg", "kid", "status", "until"),
        [(key.use, key.alg, key.kid, key.status, key.expires) for key in keys],
    )
