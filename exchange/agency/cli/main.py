"""The root command: puts the groups together and turns errors into `error:`, `hint:` and an exit code."""

from __future__ import annotations

import click

from exchange.agency.cli.audit import audit
from exchange.agency.cli.bundle import bundle
from exchange.agency.cli.consent import consent
from exchange.agency.cli.deletion import deletion
from exchange.agency.cli.directory import directory
from exchange.agency.cli.export import export
from exchange.agency.cli.history import history
from exchange.agency.cli.inbox import inbox, open_
from exchange.agency.cli.keys import keys
from exchange.agency.cli.notices import notices
from exchange.agency.cli.outbox import outbox, receipts
from exchange.agency.cli.printing import print_
from exchange.agency.cli.record import record
from exchange.agency.cli.request import request
from exchange.agency.cli.retain import retain
from exchange.agency.cli.send import send, spool
from exchange.agency.cli.subject import subject
from exchange.agency.cli.timeline import timeline
from exchange.agency.cli.user import user
from exchange.agency.cli.webhook import webhook
from exchange.member.cli.deployment import deployment
from exchange.member.cli.enrol import enrol, init
from exchange.member.cli.exits import HELP, run
from exchange.member.cli.options import Options, common_options
from exchange.member.cli.recovery import recovery
from exchange.member.cli.root import root

COMMANDS: tuple[click.Command, ...] = (
    init,
    enrol,
    root,
    recovery,
    user,
    keys,
    deployment,
    directory,
    record,
    consent,
    deletion,
    history,
    request,
    timeline,
    subject,
    send,
    spool,
    inbox,
    open_,
    outbox,
    receipts,
    bundle,
    audit,
    webhook,
    notices,
    retain,
    export,
)


@click.group(epilog=HELP, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@common_options
@click.version_option(package_name="homeward-exchange", prog_name="exchange-agency")
def cli(options: Options) -> None:
    """Seal, send, receive and open minimal records of children, end to end.

    \b
    A first day:
      export HOMEWARD_HOME=ngo
      exchange-agency init --deployment deployment.json --agency ngo-a --name "NGO A" --kind ngo \\
          --country XX --contact desk@ngo.example --user amal
      exchange-agency enrol --out ngo-a.enrol    (give the file to the operator, read out the fingerprint)
      exchange-agency directory sync
      exchange-agency record import children.xml
    """


for _command in COMMANDS:
    cli.add_command(_command)
record.add_command(print_)


def main() -> None:
    """Run, and end with a documented exit code."""
    run(cli)
