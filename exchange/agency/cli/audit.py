"""`audit`: what the hub's log says about this agency, all of it, and whether witnesses saw it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from exchange.agency import Client
from exchange.agency.auditing import AuditReport
from exchange.agency.cli.session import open_client
from exchange.agency.own_slice import OwnSlice, SliceReport
from exchange.log.policy import MAX_BYTES, Policy
from exchange.member.cli.exits import ALARM
from exchange.member.cli.options import Options, common_options
from exchange.member.cli.output import alarm, confirm, print_json, say, say_count
from exchange.member.files import read_bounded
from exchange.member.witnessed import Seen
from exchange_schemas.errors import ExchangeError

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command()
@common_options
@click.option("--policy", type=_FILE, help="Witnesses and quorum to trust (C2SP tlog-policy).")
@click.option("--offline", is_flag=True, help="Verify what was kept again, without the hub.")
@click.option("--entries", is_flag=True, help="Print every kept entry, a line each, after verifying them.")
@click.option(
    "--accept-recovery",
    "evidence",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Go on with the log of a hub that lost entries; what was seen before goes to this new file.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def audit(
    options: Options, *, policy: Path | None, offline: bool, entries: bool, evidence: Path | None, yes: bool
) -> None:
    """Fetch every entry of the hub's log about this agency, and prove that none is missing.

    Each receipt must be among them, and under a checkpoint that a quorum of witnesses cosigned within five
    minutes: the witnesses of the deployment file, or of --policy. Run it often, by a timer.

    A hub that was put back to a backup and lost entries raises an alarm here each time. Once the commission
    has told you what was lost and that the hub goes on, --accept-recovery begins anew; keep its file.

    Exit code 0: all of it holds; 4: an alarm: something does not verify, an entry is missing, or a receipt
    is not witnessed; 3: the hub cannot be reached.

    \b
    Examples:
      exchange-agency --home ngo audit --json
      exchange-agency --home ngo audit --entries > entries.ndjson
    """
    with open_client(options) as client:
        if entries or offline:
            _kept(options, OwnSlice(client.session), entries=entries)
            return
        given = None
        if policy is not None:
            given = Policy.from_bytes(read_bounded(policy, limit=MAX_BYTES, what="policy"))
        report = client.audit(policy=given) if evidence is None else _accept(client, given, evidence, yes=yes)
    _tell(options, report.slice, report.receipts)
    if report.alarming:
        sys.exit(ALARM)


def _accept(client: Client, policy: Policy | None, evidence: Path, *, yes: bool) -> AuditReport:
    def agreed(found: ExchangeError) -> None:
        if not yes:
            alarm("the log is not the one that was seen before: {what}", what=found.message)
            confirm(
                "Has the commission said that the hub was recovered and lost entries? Go on with this log?"
            )

    return client.accept_recovery(evidence, policy=policy, agreed=agreed)


def _kept(options: Options, own: OwnSlice, *, entries: bool) -> None:
    count = own.verify_kept()
    if entries:
        for entry in own.entries():
            click.echo(entry.decode("ascii"))
    elif options.json:
        print_json({"entries": count})
    else:
        say_count("{count} kept entry verifies", "{count} kept entries verify", count)


def _tell(options: Options, found: SliceReport, seen: Seen) -> None:
    for ident in found.omitted:
        alarm("the entry {id}, for which you hold a receipt, is not in your slice of the log", id=ident)
    for ident in found.waiting:
        alarm("the entry {id} waits for longer than ten minutes to be in your slice", id=ident)
    for one in seen.late:
        alarm(
            "no witnessed checkpoint has the tree of {size} entries that the hub signed at {when}",
            size=one.size,
            when=one.at,
        )
    if options.json:
        print_json({"slice": found, "receipts": seen})
        return
    say(
        "slice: {entries} entries about this agency, {new} new; none is missing below entry {covers} "
        "of the log",
        entries=found.entries,
        new=found.new,
        covers=found.covers,
    )
    if not seen.judged:
        say("receipts: not judged, because neither the deployment nor --policy names a witness")
    else:
        say(
            "receipts: {settled} found under a tree of {size} entries, {open} wait",
            settled=seen.settled,
            size=seen.size,
            open=seen.open,
        )
        if seen.witnessed is None:
            say("no quorum yet")
        else:
            say("witnessed: {when}", when=f"{seen.witnessed:%Y-%m-%d %H:%M:%S} UTC")
