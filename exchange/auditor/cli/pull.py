"""`pull`: bring the copy of the log up to date."""

from __future__ import annotations

from pathlib import Path

import click

from exchange.auditor.mirror import Mirror
from exchange.auditor.pull import pull as pull_log
from exchange.member.cli.options import Options, common_options
from exchange.member.cli.output import print_json, say
from exchange.member.cli.progress import steps_bar
from exchange.member.cli.session import open_unlocked


@click.command()
@common_options
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
def pull(options: Options, folder: Path) -> None:
    """Fetch into DIR what the log has that DIR lacks; run it again to resume or to go on.

    DIR has the layout of a static C2SP log. The log's key is pinned at the first pull; a log that was cut or
    rewritten since is refused and DIR stays as it was, as evidence.

    \b
    Example:
      exchange-audit --home audit pull log/
    """
    with open_unlocked(options) as session, steps_bar("pulling") as progress:
        vkey = session.profile.deployment.audit_vkey
        result = pull_log(Mirror(folder), session.hub, vkey, progress=progress)
    if options.json:
        print_json(result)
        return
    say(f"{folder}: {result.size} entries, {result.size - result.before} new, {result.files} files fetched")
