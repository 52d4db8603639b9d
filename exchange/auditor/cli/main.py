"""`exchange-audit`: puts the commands together and turns errors into `error:`, `hint:` and an exit code."""

from __future__ import annotations

import click

from exchange.auditor.cli.evidence import evidence
from exchange.auditor.cli.export import export
from exchange.auditor.cli.prove import check_entry, prove_entry
from exchange.auditor.cli.pull import pull
from exchange.auditor.cli.report import report
from exchange.auditor.cli.verify import verify
from exchange.auditor.cli.witness import witness
from exchange.member.cli.deployment import deployment
from exchange.member.cli.enrol import enrol, init
from exchange.member.cli.exits import HELP, run
from exchange.member.cli.options import Options, common_options


@click.group(epilog=HELP, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@common_options
@click.version_option(package_name="homeward-exchange", prog_name="exchange-audit")
def cli(options: Options) -> None:
    """Pull a hub's audit log and verify it without trusting the hub.

    \b
    A first day:
      export HOMEWARD_HOME=audit
      exchange-audit init --deployment homeward.json --agency open-audit --name "Open Audit" \\
          --kind auditor --country XX --contact desk@open-audit.example --user jonas
      exchange-audit enrol --out open-audit.enrol   (give it to the operator, read out the fingerprint)
      exchange-audit pull log/
      exchange-audit verify log/
      exchange-audit report log/ --out report.html
    """


_COMMANDS: tuple[click.Command, ...] = (
    init,
    enrol,
    deployment,
    pull,
    verify,
    prove_entry,
    check_entry,
    evidence,
    export,
    report,
    witness,
)

for _command in _COMMANDS:
    cli.add_command(_command)


def main() -> None:
    """Run, and end with a documented exit code."""
    run(cli)
