"""`record print`: a record's card on paper, which is a disclosure outside the exchange."""

from __future__ import annotations

from pathlib import Path

import click

from exchange.agency.cli.session import open_client
from exchange.agency.printing import Why
from exchange.member.cli.ids import IdCommand
from exchange.member.cli.options import Options, common_options
from exchange.member.cli.output import print_json, say
from exchange.member.files import write_private
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.errors import Conflict

_CATALOGUE = load_catalogue()


@click.command("print", cls=IdCommand)
@common_options
@click.argument("ref")
@click.option("--to", required=True, metavar="WHOM", help="Who gets the paper: an office, or an agency's id.")
@click.option("--why", required=True, metavar="TEXT", help="Why, in a few words; it stands on the paper.")
@click.option("--purpose", type=click.Choice(_CATALOGUE.purposes), required=True)
@click.option("--basis", type=click.Choice(_CATALOGUE.bases), required=True, help="What it rests on.")
@click.option("--field", "fields", multiple=True, metavar="NAME", help="A field to print; may be repeated.")
@click.option("--all", "everything", is_flag=True, help="Every field that serves the purpose.")
@click.option("--out", type=click.Path(path_type=Path), help="The page's file.")
def print_(
    options: Options,
    *,
    ref: str,
    to: str,
    why: str,
    purpose: str,
    basis: str,
    fields: tuple[str, ...],
    everything: bool,
    out: Path | None,
) -> None:
    """Make a card of the record REF for printing, with a watermark: who, for whom, when, why.

    Paper leaves the exchange, so the print is logged here and at the hub. The hub learns which fields and for
    what, never of whom, for whom or why.

    \b
    Example:
      exchange-agency record print 7Hq2 --to "Dr Haddad, Al-Nour clinic" --why "emergency treatment" \\
          --purpose health --basis vital_interest --field name_given --field sex --field age_range
    """
    if bool(fields) is everything:
        raise click.UsageError("name fields with --field, or give --all")
    with open_client(options) as client:
        held = client.records.get(ref)
        serving = [name for name in held.fields if purpose in _CATALOGUE.fields[name].purposes]
        path = Path(f"card-{held.ref}.html") if out is None else out
        if path.exists():
            raise Conflict(f"{path.name} is there already: choose another name", field="out")
        page, row = client.prints.make(
            held.ref, serving if everything else fields, Why(to, why, purpose, basis)
        )
        write_private(path, page.encode())
    if options.json:
        print_json({"page": str(path), "print": row})
        return
    say("wrote {file}: print {id}; it is in the local log", file=path.name, id=row.id)
    say("the hub's log has it" if row.entry is not None else "the next sync tells the hub's log")
