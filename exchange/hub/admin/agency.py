"""`exchange-hub agency`: admit an agency with the bundle it made, show it, suspend it, end it.

An agency makes its own keys; no command here can make, change or add one. An admission rests on a person who
compared the fingerprint by voice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import click

from exchange.directory import enrolment
from exchange.directory.enrolment import CheckedEnrolment, check_bundle
from exchange.directory.state import KeyState
from exchange.hub.admin.carried_keys import CarriedEvents
from exchange.hub.admin.commands import Target, examples, hub_command, language_option
from exchange.hub.admin.opened import opened_database, opened_hub, signing_time
from exchange.hub.admin.operator_key import KeySource, key_options
from exchange.hub.admin.output import confirm
from exchange.hub.admin.weighty import carry_out, confirm_fingerprint, open_operator, proposal_option
from exchange.hub.services.agencies import admission, listed, shown
from exchange.hub.services.carried_keys import log_carried
from exchange_keys.jws import Signed
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import JsonValue, format_time
from exchange_schemas.event import Event, ExpelEvent, ResumeEvent, SuspendEvent
from exchange_schemas.ids import check_agency
from exchange_schemas.limits import LIMITS

_REASONS = load_catalogue().codes["standing_reason"]
_REASON = click.option("--reason", type=click.Choice(_REASONS), required=True, help="Why; everybody sees it.")


@click.group(name="agency", short_help="Agencies: admit, list, show, suspend, resume, revoke.")
@language_option
def group() -> None:
    """Admit agencies, list and show them, suspend, resume or revoke them."""


@group.command(
    epilog=examples(
        "exchange-hub agency admit embassy-a.enrol --operator-key asha.key",
        "exchange-hub agency admit embassy-a.enrol --operator-key asha.key --fingerprint ABCD-EFGH-…",
    )
)
@hub_command
@click.argument("bundle", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@key_options
@click.option("--fingerprint", help="What the agency read out by voice; without it you are asked.")
@proposal_option
def admit(
    target: Target,
    *,
    bundle: Path,
    source: KeySource,
    fingerprint: str | None,
    proposal: Path | None,
) -> None:
    """Admit the agency that made BUNDLE, with the keys in it.

    The bundle is checked and shown. Compare the fingerprint with the agency by voice before you confirm: it
    is the only proof that the keys are theirs.
    """
    signed = _read_bundle(bundle)
    with opened_hub(target) as hub:
        checked = check_bundle(signed, origin=hub.settings.origin, now=hub.clock())
        _show_bundle(target, checked)
        confirm_fingerprint(checked.fingerprint, fingerprint, whose=checked.enrolment.agency)
        key = open_operator(source, hub)
        event = admission(checked, origin=hub.settings.origin, now=hub.clock())
        carry_out(target, hub, event, key, proposal=proposal, bundle=signed)


@group.command(name="list", epilog=examples("exchange-hub agency list", "exchange-hub agency list --json"))
@hub_command
def list_(target: Target) -> None:
    """List every agency that was ever admitted."""
    with opened_database(target) as engine:
        rows: list[dict[str, JsonValue]] = [asdict(one) for one in listed(engine)]
    target.out.rows(
        "agencies: {count}",
        rows,
        columns=("agency", "name", "kind", "country", "status"),
        count=len(rows),
    )


@group.command(epilog=examples("exchange-hub agency show embassy-a"))
@hub_command
@click.argument("agency")
def show(target: Target, agency: str) -> None:
    """Show AGENCY and every key that it ever had."""
    with opened_database(target) as engine:
        state = shown(engine, check_agency(agency, field="agency"))
    keys = [_key_row(key) for key in state.keys.values()]
    facts: dict[str, JsonValue] = {
        "agency": state.agency,
        "name": state.name,
        "kind": state.kind,
        "country": state.country,
        "public_authority": state.public_authority,
        "contact": state.contact,
        "status": state.status.value,
        "since": format_time(state.standing_since),
        "fingerprint": enrolment.fingerprint(state.root),
    }
    if target.out.as_json:
        target.out.facts({**facts, "keys": list(keys)})
        return
    target.out.facts(facts)
    target.out.rows("keys", keys, columns=("use", "alg", "status", "from", "to", "holder", "kid"))


@group.command(epilog=examples("exchange-hub agency suspend ngo-b --reason security --operator-key asha.key"))
@hub_command
@click.argument("agency")
@_REASON
@key_options
@proposal_option
def suspend(
    target: Target,
    *,
    agency: str,
    reason: str,
    source: KeySource,
    proposal: Path | None,
) -> None:
    """Suspend AGENCY: at once it gets no token, and nothing is sent to it, until it is resumed."""
    _change(target, agency, partial(SuspendEvent, reason=reason), source, proposal)


@group.command(epilog=examples("exchange-hub agency resume ngo-b --operator-key asha.key"))
@hub_command
@click.argument("agency")
@key_options
@proposal_option
def resume(
    target: Target,
    *,
    agency: str,
    source: KeySource,
    proposal: Path | None,
) -> None:
    """Let the suspended AGENCY take part again."""
    _change(target, agency, ResumeEvent, source, proposal)


@group.command(
    epilog=examples("exchange-hub agency revoke ngo-b --reason agreement_ended --operator-key asha.key")
)
@hub_command
@click.argument("agency")
@_REASON
@key_options
@click.option("--yes", is_flag=True, help="Do not ask.")
@proposal_option
def revoke(
    target: Target,
    *,
    agency: str,
    reason: str,
    source: KeySource,
    yes: bool,
    proposal: Path | None,
) -> None:
    """Expel AGENCY, for good: its id and its keys can never be used again."""
    if not yes:
        confirm("Expel {agency} for good?", agency=agency)
    _change(target, agency, partial(ExpelEvent, reason=reason), source, proposal)


@group.command(
    name="log-in", epilog=examples("exchange-hub agency log-in signed.json --operator-key asha.key")
)
@hub_command
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@key_options
def log_in(target: Target, *, file: Path, source: KeySource) -> None:
    """Log the new key of an agency that can no longer log in; FILE is signed by its root.

    The agency makes FILE with `exchange-agency keys log-in` and `exchange-agency root sign`. Nothing that its
    root did not sign is taken. A suspended agency must be resumed first.
    """
    carried = CarriedEvents.read(file)
    with opened_hub(target) as hub:
        key = open_operator(source, hub)
        log_carried(hub, key.name, carried.agency, carried.events)
    target.out.done("{agency} can log in with its new key", {"agency": carried.agency, "operator": key.name})


def _change(
    target: Target, agency: str, make: Callable[..., Event], source: KeySource, proposal: Path | None
) -> None:
    """`make` builds the event from origin, iat and agency."""
    with opened_hub(target) as hub:
        state = shown(hub.engine, check_agency(agency, field="agency"))
        key = open_operator(source, hub)
        iat = signing_time(hub, state.standing_since)
        event = make(origin=hub.settings.origin, iat=iat, agency=state.agency)
        carry_out(target, hub, event, key, proposal=proposal)


def _read_bundle(path: Path) -> Signed:
    with path.open("rb") as file:
        data = file.read(LIMITS.signed_object_bytes + 2)
    return Signed.from_bytes(data.removesuffix(b"\n"), LIMITS.enrolment_bytes)


def _show_bundle(target: Target, checked: CheckedEnrolment) -> None:
    told = checked.enrolment
    uses = [key.use for key in checked.agency.keys.values()]
    counted: list[JsonValue] = [f"{uses.count(use)} {use}" for use in sorted(set(uses))]
    target.out.notes(
        {
            "agency": told.agency,
            "name": told.name,
            "kind": told.kind,
            "public_authority": told.public_authority,
            "country": told.country,
            "contact": told.contact,
            "keys": counted,
            "fingerprint": checked.fingerprint,
        }
    )


def _key_row(key: KeyState) -> dict[str, JsonValue]:
    return {
        "kid": key.kid,
        "use": key.use,
        "alg": key.public.alg,
        "status": key.status.value,
        "from": None if key.nbf is None else format_time(key.nbf),
        "to": None if key.exp is None else format_time(key.exp),
        "drained": None if key.until is None else format_time(key.until),
        "holder": key.holder,
    }
