"""`retain`: delete what this machine may not keep any longer."""

from __future__ import annotations

import click

from exchange.agency.cli.session import open_client
from exchange.agency.retention import Kept
from exchange.agency.retention_rules import PROOF_DAYS
from exchange.member.cli.options import Options, common_options
from exchange.member.cli.output import print_json, print_table, say
from exchange.words import gettext, marked

_WORDS = {
    "L1-period": marked("opened messages whose keeping time is over"),
    "L2-destroy-by": marked("opened messages that a closure has destroyed by now"),
    "L3-closed": marked("closed records"),
    "L4-proof": marked("evidence of consents that ended long ago"),
}


@click.command()
@common_options
@click.option("--dry-run", is_flag=True, help="Only count what would go.")
@click.option("--runs", is_flag=True, help="Show what earlier runs deleted; delete nothing.")
@click.option(
    "--proof-days",
    type=click.IntRange(365, 7300),
    default=PROOF_DAYS,
    show_default=True,
    help="How long evidence is kept after a consent's end.",
)
def retain(options: Options, *, dry_run: bool, runs: bool, proof_days: int) -> None:
    """Delete what may not be kept any longer: opened messages, closed records, old evidence.

    The times are those of the senders' consents and of the closures; docs/retention.md has the table. What a
    law makes this agency keep stays until its day. Needs an approver; --dry-run needs none. Run it on every
    machine of the agency: each has a store of its own.

    \b
    Example:
      exchange-agency --user amal retain
    """
    with open_client(options) as client:
        if runs:
            found = client.retention.runs()
            if options.json:
                print_json(found)
                return
            rows = [(str(one["when"]), str(one["user"]), _counted(one["deleted"])) for one in found]
            print_table("runs", ("when", "user", "deleted"), rows)
            return
        done = client.retention.run(dry_run=dry_run, proof_days=proof_days)
    if options.json:
        print_json({"dry_run": dry_run, "deleted": dict(done.counts)})
        return
    _tell(done, dry_run=dry_run)


def _tell(done: Kept, *, dry_run: bool) -> None:
    for rule, count in sorted(done.counts.items()):
        what = gettext(_WORDS[rule])
        if dry_run:
            say("would delete: {what}: {count} [{rule}]", what=what, count=count, rule=rule)
        else:
            say("deleted: {what}: {count} [{rule}]", what=what, count=count, rule=rule)
    if not done.counts:
        say("nothing is past its time")


def _counted(value: object) -> str:
    counts = sorted(value.items()) if isinstance(value, dict) else []
    return ", ".join(f"{rule} {count}" for rule, count in counts)
