"""`verify`: check a pulled log offline; no key, no passphrase, no network."""

from __future__ import annotations

from pathlib import Path

import click

from exchange.auditor.mirror import Mirror
from exchange.auditor.verify import Verdict, verify_mirror
from exchange.member.cli.exits import DONE, FAILED, REFUSED
from exchange.member.cli.options import Options, common_options
from exchange.member.cli.output import print_json, say
from exchange.member.cli.progress import steps_bar


@click.command()
@common_options
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
def verify(options: Options, folder: Path) -> int:
    """Check every entry, the tree and the checkpoint of the pulled log in DIR.

    Exit code 0: all holds; 2: an entry, tile, root or signature is wrong; 1: files are missing.

    \b
    Example:
      exchange-audit verify log/
    """
    with steps_bar("verifying") as progress:
        verdict = verify_mirror(Mirror(folder), progress=progress)
    if options.json:
        print_json({**_plain(verdict), "findings": list(verdict.findings)})
    else:
        _tell(verdict)
    if not verdict.integrity:
        return REFUSED
    return DONE if verdict.complete else FAILED


def _plain(verdict: Verdict) -> dict[str, object]:
    return {
        "log": verdict.origin,
        "size": verdict.size,
        "checked": verdict.checked,
        "integrity": verdict.integrity,
        "complete": verdict.complete,
        "witnesses": list(verdict.witnesses),
    }


def _tell(verdict: Verdict) -> None:
    say(f"log: {verdict.origin}, {verdict.size} entries by its checkpoint, {verdict.checked} read")
    say(f"integrity: {'every entry and the tree hold' if verdict.integrity else 'BROKEN'}")
    say(f"completeness: {f'whole to entry {verdict.size}' if verdict.complete else 'files are MISSING'}")
    say("witnessed: by nobody (compare checkpoints with another auditor)")
    for finding in verdict.findings:
        say(f"  {finding.code}: {finding.text}")
