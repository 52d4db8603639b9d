"""`exchange-hub`: the operator's command line. One file for each noun stands beside this one.

Here the commands are put together and nothing else is done.
"""

from __future__ import annotations

import click

from exchange.hub.admin import (
    agency,
    agreement,
    audit,
    check,
    consent,
    database,
    deployment,
    init,
    keys,
    log_care,
    operator,
    recover,
    retain,
)
from exchange.hub.admin.commands import EXIT_CODES, AdminGroup, language_option
from exchange.hub.admin.serve import serve

_EPILOG = f"""\b
A new hub, from nothing:
  exchange-hub operator keygen asha --out asha.key
  exchange-hub init --data-dir /srv/hub --origin exchange.example \\
      --base-url https://exchange.example --hub-passphrase-file FILE \\
      --operator asha --operator-key asha.key
  exchange-hub deployment export homeward.json --data-dir /srv/hub
  exchange-hub agency admit embassy-a.enrol --operator-key asha.key --data-dir /srv/hub
  exchange-hub serve --data-dir /srv/hub

Settings come from --data-dir DIR (DIR/hub.env) or --config FILE, and from HOMEWARD_* in the environment,
which wins. Weighty acts are signed by an operator; where several must sign, a proposal file goes round.

{EXIT_CODES}"""


@click.group(
    name="exchange-hub",
    cls=AdminGroup,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
)
@click.version_option(package_name="homeward-exchange", prog_name="exchange-hub")
@language_option
def main() -> None:
    """Run the hub of a Homeward exchange: make it, serve it, admit agencies to it."""


for command in (
    init.init,
    serve,
    check.check,
    recover.recover,
    database.group,
    operator.group,
    agency.group,
    audit.group,
    agreement.group,
    consent.group,
    deployment.group,
    keys.group,
    retain.retain,
    retain.destructions,
):
    main.add_command(command)
for command in log_care.COMMANDS:
    audit.group.add_command(command)
