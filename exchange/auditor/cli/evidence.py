"""`evidence`: whether disclosed evidence is what a consent was signed over."""

from __future__ import annotations

from pathlib import Path

import click

from exchange.member.cli.options import Options, common_options
from exchange.member.cli.output import print_json, say
from exchange.member.evidence import FILE_BYTES, check_evidence
from exchange.member.files import read_bounded


@click.command("evidence")
@common_options
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False, exists=True))
def evidence(options: Options, file: Path) -> None:
    """Check a file of evidence that a consent's issuer wrote with `exchange-agency consent evidence`.

    It needs no network. It proves that these texts were behind the consent when it was signed; the key
    directory says whose the keys are, and whether a text is true you judge. Any difference ends with an
    error.

    \b
    Example:
      exchange-audit evidence 3Vb9.evidence
    """
    found = check_evidence(read_bounded(file, limit=FILE_BYTES, what="evidence"))
    if options.json:
        print_json(found)
        return
    say(
        "consent {cid} of {issuer} to {recipient}: every text has its digest in it",
        cid=found.cid,
        issuer=found.issuer,
        recipient=found.recipient,
    )
    say("signed with {kids}: compare with the key directory", kids=", ".join(found.kids))
    for about, text in sorted(found.texts.items()):
        say("{about} ({basis}): {text}", about=about, basis=found.bases.get(about, "–"), text=text)
    for about in found.missing:
        say("{about}: not disclosed", about=about)
    if found.ref is not None:
        say("the child is the issuer's record {ref}", ref=found.ref)
