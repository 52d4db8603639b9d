"""`exchange-hub recover`: an operator takes an audit log that the high-water mark does not allow as it is.

After a restore from a backup the hub refuses to serve. Nothing but a person may decide that what was lost is
lost; the decision is an entry of the log that goes on.
"""

from __future__ import annotations

import click

from exchange.hub.admin.commands import Target, examples, hub_command
from exchange.hub.admin.opened import opened_hub
from exchange.hub.admin.operator_key import KeySource, key_options
from exchange.hub.admin.output import confirm
from exchange.hub.admin.weighty import open_operator
from exchange.hub.services.recover import recover as take_as_it_is
from exchange.hub.services.withdrawals import replay_journal
from exchange.hub.services.witness_guard import ask_witnesses


@click.command(
    epilog=examples("exchange-hub check", "exchange-hub recover --operator-key asha.key"),
    short_help="Go on with a log that was put back to an earlier state.",
)
@hub_command
@key_options
@click.option("--yes", is_flag=True, help="Do not ask.")
def recover(target: Target, *, source: KeySource, yes: bool) -> None:
    """Set the high-water mark to the audit log as it is now, and log who did it.

    Only after `check` named S7-guard or S8-witnessed and you know why: entries that agencies hold receipts
    for are gone. The journal of withdrawals is replayed at once, so that nothing withdrawn comes back. A
    witness that saw more will never cosign this log again: its runner must make a new one. Where an auditor
    has a copy, `audit recover --from-mirror` loses nothing.
    """
    with opened_hub(target) as hub:
        key = open_operator(source, hub)
        for warning in ask_witnesses(hub):
            target.out.note("warning: {warning}", warning=warning)
        if not yes:
            confirm("Take this audit log as it is, without what was lost?")
        released = take_as_it_is(hub, key.name)
        held = replay_journal(hub)
    entry = None if released.receipt is None else released.receipt.entry_id
    target.out.done(
        "recovered by {operator}: the hub may serve again; withdrawals and newer consents that hold again: "
        "{withdrawals}",
        {"operator": key.name, "entry": entry, "withdrawals": held},
    )
