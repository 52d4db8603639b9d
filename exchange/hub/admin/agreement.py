"""`exchange-hub agreement`: what agencies of one kind may ever send to agencies of another.

Operators sign a version as a whole: what it does not name goes to nobody. No command here changes one
agreement alone, and none can make a version that nobody has signed.
"""

from __future__ import annotations

from pathlib import Path

import click

from exchange.consent import Policy
from exchange.hub.admin.commands import FILE, Target, examples, hub_command, json_option, language_option
from exchange.hub.admin.opened import opened_database, opened_hub
from exchange.hub.admin.operator_key import KeySource, key_options
from exchange.hub.admin.output import Output
from exchange.hub.admin.weighty import carry_out, open_operator, proposal_option
from exchange.hub.services.agreements import agreements_now
from exchange_schemas.agreement import SharingAgreement, default_file, read_agreements
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import Conflict
from exchange_schemas.event import AgreementsEvent


@click.group(name="agreement", short_help="Sharing agreements between kinds of agency.")
@language_option
def group() -> None:
    """Show and sign the sharing agreements: what may ever go, whatever a consent says."""


@group.command(epilog=examples("exchange-hub agreement default > agreements.toml"))
@json_option
def default(out: Output) -> None:
    """Print the file of the agreements that ship, with their reasons, to start from."""
    if not out.as_json:
        click.echo(default_file(), nl=False)
        return
    shipped = read_agreements(default_file())
    rows = [{**_row(item.agreement), "why": item.why} for item in shipped]
    out.rows("the agreements that ship", rows, columns=("from", "to"))


@group.command(epilog=examples("exchange-hub agreement show", "exchange-hub agreement show --json"))
@hub_command
def show(target: Target) -> None:
    """Show the version in force."""
    with opened_database(target) as engine:
        found = agreements_now(engine)
    if found is None:
        target.out.done("no agreements are signed: consents alone decide", {"version": 0, "agreements": []})
        return
    rows = [{"version": found.version, **_row(item)} for item in found.agreements]
    columns = ("from", "to", "purposes", "fields")
    target.out.rows(
        "version {version} of the sharing agreements", rows, columns=columns, version=found.version
    )


@group.command(epilog=examples("exchange-hub agreement compare agreements.toml"))
@hub_command
@click.argument("file", type=FILE)
def compare(target: Target, file: Path) -> None:
    """Say what FILE would let go that is held back now, and the other way round. Changes nothing."""
    wanted = _read(file)
    with opened_database(target) as engine:
        found = agreements_now(engine)
    before = None if found is None else found.agreements
    rows = differences(before, wanted)
    columns = ("from", "to", "what", "more", "less")
    target.out.rows("pairs of kinds that would change: {count}", rows, columns=columns, count=len(rows))


@group.command(
    name="set",
    epilog=examples(
        "exchange-hub agreement set agreements.toml --operator-key asha.key",
        "exchange-hub agreement set --default --operator-key asha.key",
    ),
)
@hub_command
@click.argument("file", type=FILE, required=False)
@click.option("--default", "shipped", is_flag=True, help="The agreements that ship, instead of a file.")
@key_options
@proposal_option
def set_(
    target: Target, *, file: Path | None, shipped: bool, source: KeySource, proposal: Path | None
) -> None:
    """Sign FILE as the next version. It counts at once, for what waits to be fetched as well.

    `compare` shows first what it changes. The reasons in the file are for people; they are not signed.
    """
    if (file is None) is not shipped:
        raise click.UsageError("name a FILE, or give --default")
    wanted = shipped_agreements() if file is None else _read(file)
    with opened_hub(target) as hub:
        found = agreements_now(hub.engine)
        if found is not None and found.agreements == wanted:
            raise Conflict(f"these are the agreements of version {found.version} already")
        event = AgreementsEvent(
            origin=hub.settings.origin,
            iat=hub.clock().replace(microsecond=0),
            version=1 if found is None else found.version + 1,
            agreements=wanted,
        )
        carry_out(target, hub, event, open_operator(source, hub), proposal=proposal)


def shipped_agreements() -> tuple[SharingAgreement, ...]:
    """The agreements that ship."""
    return tuple(item.agreement for item in read_agreements(default_file()))


def differences(
    before: tuple[SharingAgreement, ...] | None, after: tuple[SharingAgreement, ...]
) -> list[dict[str, JsonValue]]:
    """For each pair of kinds what more and what less may go; None before: anything might."""
    kinds, known = load_catalogue().agency_kinds, load_catalogue()
    old, new = (
        None if before is None else Policy.of(0, before).agreements,
        Policy.of(0, after).agreements or {},
    )
    rows: list[dict[str, JsonValue]] = []
    for sender in kinds:
        for recipient in kinds:
            was, will = None if old is None else old.get((sender, recipient)), new.get((sender, recipient))
            for what, everything in (("purposes", known.purposes), ("fields", tuple(known.fields))):
                had = set(everything) if old is None else set() if was is None else set(getattr(was, what))
                has = set() if will is None else set(getattr(will, what))
                if had != has:
                    row: dict[str, JsonValue] = {"from": sender, "to": recipient, "what": what}
                    rows.append({**row, "more": [*sorted(has - had)], "less": [*sorted(had - has)]})
    return rows


def _read(file: Path) -> tuple[SharingAgreement, ...]:
    with file.open("rb") as opened:
        return tuple(item.agreement for item in read_agreements(opened.read(1024 * 1024)))


def _row(item: SharingAgreement) -> dict[str, JsonValue]:
    return {
        "from": [*item.snd],
        "to": [*item.rcp],
        "purposes": [*item.pur],
        "fields": [*item.fields],
    }
