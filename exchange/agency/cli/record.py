"""`record`: the children's records of this agency, encrypted on this machine."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from exchange.agency.cli.cards import print_record, summary_row
from exchange.agency.cli.fields import fields as fields_
from exchange.agency.cli.printing import print_
from exchange.agency.cli.session import open_client
from exchange.agency.cli.values import day, pairs, record_file
from exchange.agency.client import Client
from exchange.agency.model import ImportLine, Record
from exchange.agency.typed import typed
from exchange.member.cli import exits
from exchange.member.cli.ids import IdCommand
from exchange.member.cli.options import Options, common_options
from exchange.member.cli.output import print_json, print_json_line, print_table, say
from exchange.member.cli.progress import counted
from exchange.words import gettext, marked, pgettext
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import JsonValue

_PATH = click.Path(path_type=Path)
_CODES = load_catalogue().codes


@click.group()
@common_options
def record(options: Options) -> None:
    """Add, edit, find, list, show and import records; nothing here talks to the hub."""


record.add_command(print_)
record.add_command(fields_)


@record.command("add")
@common_options
@click.option("--file", type=_PATH, help="A JSON object {field: value}; `-` reads standard input.")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="One field: a text, a code, JSON.")
def add(options: Options, file: Path | None, given: tuple[str, ...]) -> None:
    """Add a record. `record fields` lists the fields and what to enter in each.

    \b
    Examples:
      exchange-agency record add --set name_given=Amina --set sex=female --set age_range=6-8
      exchange-agency record add --set birth_date=2019-05 \\
          --set 'name_given={"text": "Amina", "script": "Latn", "language": "ar"}'
    """
    fields = _given(file, given)
    if not fields:
        raise click.UsageError("name one field at least, with --set or --file")
    with open_client(options) as client:
        added = client.records.add(fields)
    _say_record(options, added, marked("record {ref} added"))


@record.command("edit", cls=IdCommand)
@common_options
@click.argument("ref")
@click.option("--file", type=_PATH, help="A JSON object of fields to set; `-` reads standard input.")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="Set one field.")
@click.option("--unset", multiple=True, metavar="NAME", help="Take one field out.")
def edit(
    options: Options, ref: str, file: Path | None, given: tuple[str, ...], unset: tuple[str, ...]
) -> None:
    """Change fields of the record REF (or the beginning of its reference).

    \b
    Example:
      exchange-agency record edit 7Hq2 --set birth_date=2018 --unset age_range
    """
    fields = _given(file, given)
    with open_client(options) as client:
        changed = client.records.edit(ref, fields, unset=unset)
    _say_record(options, changed, marked("record {ref} changed"))


@record.command("find")
@common_options
@click.argument("words", nargs=-1, required=True)
def find(options: Options, words: tuple[str, ...]) -> None:
    """Find records that hold all WORDS, whatever the case and accents.

    \b
    Example:
      exchange-agency record find isaeva 2019
    """
    with open_client(options) as client:
        searched = counted(client.records.each(), "searching", total=client.records.count(), unit="records")
        _list(options, client, [one for one in searched if client.records.matches(one, " ".join(words))])


@record.command("list")
@common_options
def list_(options: Options) -> None:
    """List all records: reference, name, sex, age, and what each may be sent for."""
    with open_client(options) as client:
        if options.json:
            for one in client.records.each():
                print_json_line(one)
            return
        _list(options, client, list(client.records.each()))


@record.command("show", cls=IdCommand)
@common_options
@click.argument("ref")
def show(options: Options, ref: str) -> None:
    """Show the record REF as a card: its fields, what it may be sent for, and its history."""
    with open_client(options) as client:
        one = client.records.get(ref)
        detail = client.records.detail(one.ref)
    if options.json:
        print_json({"record": one, "sendable": detail.sendable, "history": detail.history})
        return
    print_record(one, detail)


@record.command("withhold", cls=IdCommand)
@common_options
@click.argument("ref")
@click.option("--from", "who", multiple=True, metavar="WHO", help="AGENCY, kind:KIND or country:CC.")
@click.option("--lift", is_flag=True, help="Take them off the list again; needs an approver.")
def withhold(options: Options, ref: str, who: tuple[str, ...], lift: bool) -> None:
    """Say who must never learn of the record REF; without --from show the list.

    The list stays on this machine, and no consent overrides it. Consents given before are named: withdraw
    them.

    \b
    Example:
      exchange-agency record withhold 7Hq2 --from embassy-a --from country:XX
    """
    with open_client(options) as client:
        entries = client.records.withhold(ref, *who, lift=lift) if who else client.records.withheld_from(ref)
        standing = client.consents.standing_against_withholding(ref)
    if options.json:
        print_json({"withheld_from": entries, "consents": standing})
        return
    say("withheld from: {who}", who=", ".join(entries) or gettext("nobody"))
    for one in standing:
        say(
            "a consent to {agency} is in force: `exchange-agency consent withdraw {cid}`",
            agency=one.recipient,
            cid=one.cid,
        )


@record.command("import")
@common_options
@click.argument("file", type=_PATH)
@click.option("--locations", type=_PATH, help="Primero's list of locations (JSON).")
def import_(options: Options, file: Path, locations: Path | None) -> int:
    """Import FILE: PFIF 1.1 to 1.4 XML, or the case list JSON of Primero v2.

    Repeating it is safe. Says by field name what is left out and why, never a value. Exit code 0: all
    imported; 2: some or all refused by a rule; 1: the file cannot be read.

    \b
    Example:
      exchange-agency record import children.pfif-1.4.xml
    """
    tally: dict[str, int] = {}
    with open_client(options) as client:
        for line in counted(
            client.records.import_file(file, locations=locations), "importing", unit="records"
        ):
            tally[line.outcome] = tally.get(line.outcome, 0) + 1
            _say_import(options, line)
    if not options.json:
        for outcome, count in sorted(tally.items()):
            say("{outcome}: {count}", outcome=pgettext("code", outcome), count=count)
        if not tally:
            say("the file holds no record")
    return exits.REFUSED if tally.get("refused", 0) else exits.DONE


@record.command("photo", cls=IdCommand)
@common_options
@click.argument("ref")
@click.argument("file", type=_PATH)
@click.option("--taken-on", metavar="DATE", help="YYYY, YYYY-MM or YYYY-MM-DD.")
def photo(options: Options, ref: str, file: Path, taken_on: str | None) -> None:
    """Attach a photo to the record REF: re-encoded, without EXIF and GPS, one child only."""
    with open_client(options) as client:
        changed = client.records.attach_photo(ref, file, taken_on=taken_on)
    _say_record(options, changed, marked("record {ref} has a photo now"))


@record.command("decision", cls=IdCommand)
@common_options
@click.argument("ref")
@click.option(
    "--procedure", type=click.Choice(_CODES["procedure"]), required=True, help="How it was decided."
)
@click.option(
    "--outcome", type=click.Choice(_CODES["decision_outcome"]), required=True, help="What was decided."
)
@click.option("--body", required=True, help="Who decided: a panel or court, never a person's name.")
@click.option("--date", "on", metavar="DATE", help="YYYY-MM-DD; today unless given.")
@click.option("--valid-until", metavar="DATE", help="YYYY-MM-DD.")
@click.option("--document", type=_PATH, help="The minutes; only their digest is kept.")
def decision(
    options: Options,
    *,
    ref: str,
    procedure: str,
    outcome: str,
    body: str,
    on: str | None,
    valid_until: str | None,
    document: Path | None,
) -> None:
    """Record a best-interests decision on the record REF.

    A record whose source gives no basis of its own (PFIF) becomes sendable by a decision for it; what a
    source forbids stays forbidden.

    \b
    Example:
      exchange-agency record decision 7Hq2 --procedure bia --outcome for_sharing --body "BIA panel North"
    """
    with open_client(options) as client:
        changed = client.records.decide(
            ref,
            procedure=procedure,
            outcome=outcome,
            body=body,
            on=day(on, "--date"),
            valid_until=day(valid_until, "--valid-until"),
            document=document,
        )
    _say_record(options, changed, marked("record {ref} has a best-interests decision now"))


def _given(file: Path | None, given: tuple[str, ...]) -> dict[str, JsonValue]:
    today = datetime.now(UTC).date()
    return {**({} if file is None else record_file(file)), **typed(pairs(given, "--set"), today=today)}


def _say_record(options: Options, one: Record, what: str) -> None:
    if options.json:
        print_json(one)
    else:
        say(what, ref=one.ref)


def _list(options: Options, client: Client, records: list[Record]) -> None:
    if options.json:
        print_json(records)
        return
    rows = (summary_row(one, client.records.sendable(one)) for one in records)
    print_table("records", ("ref", "name", "sex", "born or age", "may be sent for"), rows)


def _say_import(options: Options, line: ImportLine) -> None:
    if options.json:
        print_json_line(line)
        return
    if line.outcome == "refused":
        say(
            "record {number}: refused: {why} [{rule}] (field {field})",
            number=line.position,
            why=gettext(line.reason or ""),
            rule=line.rule,
            field=line.field,
        )
        return
    say(
        "record {number}: {outcome} as {ref}",
        number=line.position,
        outcome=pgettext("code", line.outcome),
        ref=line.ref,
    )
    for name, why in line.left_out:
        say("  left out {field}: {why}", field=name, why=gettext(why))
