"""`record fields`: what a record may hold and what is typed for it, so that nobody needs the manual."""

from __future__ import annotations

import click

from exchange.agency.typed import what_it_takes
from exchange.agency.wording import field_label
from exchange.member.cli.options import Options, common_options
from exchange.member.cli.output import print_json, print_table, say
from exchange_schemas.catalogue import FieldSpec, load_catalogue
from exchange_schemas.errors import Malformed


@click.command("fields")
@common_options
@click.argument("names", nargs=-1, metavar="[FIELD]...")
def fields(options: Options, names: tuple[str, ...]) -> None:
    """List the fields of a record, or these FIELDs, and what to enter in each.

    \b
    Examples:
      exchange-agency record fields
      exchange-agency record fields sex age_range marks
    """
    wanted = _wanted(names)
    if options.json:
        print_json([{"name": one.name, "label": one.label, "takes": one.describe()} for one in wanted])
        return
    rows = ((one.name, field_label(one.name), what_it_takes(one.type)) for one in wanted)
    print_table("fields", ("field", "means", "what to enter"), rows)
    say("enter one: `exchange-agency record add --set FIELD=VALUE`; JSON stands in single quotes")


def _wanted(names: tuple[str, ...]) -> list[FieldSpec]:
    known = load_catalogue().fields
    if any(name not in known for name in names):
        raise Malformed(
            "the catalogue has no such record field",
            rule="unknown",
            hint="`exchange-agency record fields` lists all",
        )
    entered = {name: one for name, one in known.items() if not one.per_recipient and one.bucket is not None}
    return [known[name] for name in names] if names else list(entered.values())
