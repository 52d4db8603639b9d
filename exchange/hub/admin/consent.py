"""`exchange-hub consent`: carry an agency's own withdrawal to the hub when the agency cannot.

The file is signed by the agency. No command here can give a consent, change one, or take one back without
that signature.
"""

from __future__ import annotations

from pathlib import Path

import click

from exchange.hub.admin.commands import Target, examples, hub_command, language_option
from exchange.hub.admin.opened import opened_hub
from exchange.hub.admin.operator_key import KeySource, key_options
from exchange.hub.admin.weighty import open_operator
from exchange.hub.services.withdrawals import withdraw_by_operator
from exchange_keys.jws import Signed
from exchange_schemas.consent import Withdrawal
from exchange_schemas.limits import LIMITS


@click.group(name="consent", short_help="Carry a withdrawal for an agency that is shut out.")
@language_option
def group() -> None:
    """Carry a withdrawal that an agency has signed and cannot send itself."""


@group.command(epilog=examples("exchange-hub consent withdraw withdrawal.json --operator-key asha.key"))
@hub_command
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@key_options
def withdraw(target: Target, *, file: Path, source: KeySource) -> None:
    """Withdraw the consents that FILE, signed by their issuer, takes back; logged under the operator.

    The issuer makes FILE with `exchange-agency consent withdrawal`. It may be suspended or expelled. What was
    not fetched is never given; the command says how much was fetched before.
    """
    signed = _read(file)
    with opened_hub(target) as hub:
        key = open_operator(source, hub)
        released = withdraw_by_operator(hub, key.name, signed)
    iss = Withdrawal.from_bytes(signed.payload).iss
    done = released.body
    target.out.done(
        "withdrawn for {issuer}; not fetched, and never given: {undelivered}; fetched before: {delivered}",
        {"issuer": iss, **done, "operator": key.name},
    )


def _read(path: Path) -> Signed:
    with path.open("rb") as file:
        data = file.read(LIMITS.signed_object_bytes + 2)
    return Signed.from_bytes(data.removesuffix(b"\n"), LIMITS.withdrawal_bytes)
