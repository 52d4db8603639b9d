"""The root command: puts the groups together and turns errors into `error:`, `hint:` and an exit code."""

from __future__ import annotations

import click

from exchange.member.cli.exits import HELP, run
from exchange.member.cli.options import Options, common_options
from exchange.words.lazy import imported

# Imported when asked for: the memory of all of them is a third of what sending a photo takes.
COMMANDS = {
    "init": "exchange.member.cli.enrol:init",
    "enrol": "exchange.member.cli.enrol:enrol",
    "root": "exchange.member.cli.root:root",
    "recovery": "exchange.member.cli.recovery:recovery",
    "user": "exchange.agency.cli.user:user",
    "keys": "exchange.agency.cli.keys:keys",
    "deployment": "exchange.member.cli.deployment:deployment",
    "directory": "exchange.agency.cli.directory:directory",
    "record": "exchange.agency.cli.record:record",
    "consent": "exchange.agency.cli.consent:consent",
    "deletion": "exchange.agency.cli.deletion:deletion",
    "history": "exchange.agency.cli.history:history",
    "request": "exchange.agency.cli.request:request",
    "timeline": "exchange.agency.cli.timeline:timeline",
    "subject": "exchange.agency.cli.subject:subject",
    "send": "exchange.agency.cli.send:send",
    "spool": "exchange.agency.cli.send:spool",
    "inbox": "exchange.agency.cli.inbox:inbox",
    "open": "exchange.agency.cli.inbox:open_",
    "outbox": "exchange.agency.cli.outbox:outbox",
    "receipts": "exchange.agency.cli.outbox:receipts",
    "bundle": "exchange.agency.cli.bundle:bundle",
    "audit": "exchange.agency.cli.audit:audit",
    "webhook": "exchange.agency.cli.webhook:webhook",
    "notices": "exchange.agency.cli.notices:notices",
    "retain": "exchange.agency.cli.retain:retain",
    "export": "exchange.agency.cli.export:export",
}


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


cli.commands = imported(COMMANDS)


def main() -> None:
    """Run, and end with a documented exit code."""
    run(cli)
