"""`pull`: bring the copy of the log up to date, and ask the witnesses what they saw of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from exchange.auditor.cli.trust import read_policy
from exchange.auditor.mirror import Mirror
from exchange.auditor.pull import Pulled, keep_seen, public_checkpoint
from exchange.auditor.pull import pull as pull_log
from exchange.auditor.witnessed import Asked, pull_with_witnesses
from exchange.member.cli.options import Options, common_options
from exchange.member.cli.output import print_json, say
from exchange.member.cli.progress import steps_bar
from exchange.member.cli.session import open_unlocked
from exchange.member.wire import Wire
from exchange.member.witnesses import WitnessClient


@click.command()
@common_options
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--policy",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Ask the witnesses of this policy, at the addresses in it, what they cosigned.",
)
def pull(options: Options, folder: Path, policy: Path | None) -> None:
    """Fetch into DIR what the log has that DIR lacks; run it again to resume or to go on.

    DIR has the layout of a static C2SP log. The log's key is pinned at the first pull; a log that was cut or
    rewritten since is refused and DIR stays as it was, with the signed proof in DIR/evidence. Every
    checkpoint that was pulled is kept in DIR/checkpoints with its cosignatures.

    \b
    Example:
      exchange-audit --home audit pull log/ --policy homeward.policy
    """
    wanted, mirror, asked = read_policy(policy), Mirror(folder), None
    with open_unlocked(options) as session, steps_bar("pulling") as progress:
        vkey, hub = session.profile.deployment.audit_vkey, session.hub

        def once() -> Pulled:
            return pull_log(mirror, hub, vkey, progress=progress)

        if wanted is None:
            result = once()
            keep_seen(mirror, public_checkpoint(hub), vkey)
        else:
            wire = Wire()
            try:
                result, asked = pull_with_witnesses(
                    once,
                    mirror,
                    hub,
                    vkey,
                    policy=wanted,
                    ask=lambda url, origin: WitnessClient(url, wire).latest(origin),
                    now=datetime.now(UTC),
                )
            finally:
                wire.close()
    _tell(options, folder, result, asked)


def _tell(options: Options, folder: Path, result: Pulled, asked: Asked | None) -> None:
    if options.json:
        print_json({"before": result.before, "size": result.size, "files": result.files, "witnesses": asked})
        return
    say(f"{folder}: {result.size} entries, {result.size - result.before} new, {result.files} files fetched")
    if asked is not None:
        say(f"{asked.answered} witnesses showed what they cosigned")
        for line in asked.silent:
            say(f"  not asked or not usable: {line}")
