"""`export`: everything of the agency's own in plain files."""

from __future__ import annotations

from pathlib import Path

import click

from exchange.agency.cli.session import open_client
from exchange.agency.export import export as write
from exchange.member.cli.options import Options, common_options
from exchange.member.cli.output import confirm, plain, print_json, say
from exchange.words import pgettext


@click.command()
@common_options
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Do not ask.")
def export(options: Options, folder: Path, *, yes: bool) -> None:
    """Write records, consents, messages and receipts as plain files into the new FOLDER.

    The files are not sealed: whoever reads them reads the children's records. Use an encrypted disk.

    \b
    Example:
      exchange-agency --home ngo export /encrypted/ngo-export
    """
    if not yes:
        confirm("Write the records without any seal?")
    with open_client(options) as client:
        counts = write(client, folder, plain)
    if options.json:
        print_json({"folder": str(folder), "counts": counts})
        return
    for name, count in counts.items():
        say("{name}: {count}", name=pgettext("fact", name), count=count)
