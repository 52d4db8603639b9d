"""`prove` writes one entry's proof; `check` believes such a file, or not, without a log and without a hub."""

from __future__ import annotations

from pathlib import Path

import click

from exchange.auditor.cli.trust import read_policy, read_trust, trust_options
from exchange.auditor.mirror import Mirror
from exchange.auditor.proving import Proved, check_proof, find_index, prove
from exchange.log.note import NOTE_CHARS
from exchange.member.cli.exits import DONE, FAILED
from exchange.member.cli.options import Options, common_options
from exchange.member.cli.output import print_json, say
from exchange.member.files import read_bounded
from exchange.words import gettext
from exchange_keys.durable import durable_file
from exchange_schemas.codec import decode
from exchange_schemas.errors import Malformed
from exchange_schemas.limits import LIMITS

_FOLDER = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))


@click.command("prove")
@common_options
@_FOLDER
@click.argument("entry", metavar="ID")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Default: INDEX.tlog-proof")
@trust_options
def prove_entry(
    options: Options, folder: Path, entry: str, *, out: Path | None, policy: Path | None, vkey: str | None
) -> None:
    """Write a proof that the entry ID (its id, or its index) is in the log, to be checked offline.

    The file holds the entry itself. With --policy it is built under the newest checkpoint that the quorum
    cosigned, if that has the entry.

    \b
    Example:
      exchange-audit prove log/ 73894 --policy homeward.policy
      exchange-audit check 73894.tlog-proof --policy homeward.policy
    """
    mirror = Mirror(folder)
    trust = read_trust(options, mirror, read_policy(policy), vkey)
    index = find_index(mirror, trust, entry)
    proof = prove(mirror, trust, index)
    target = Path(f"{index}.tlog-proof") if out is None else out
    with durable_file(target, replace=False) as file:
        file.write(proof.encode())
    if options.json:
        print_json({"index": index, "file": str(target)})
        return
    say("{file}: the proof of entry {index}", file=target, index=index)


@click.command("check")
@common_options
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@trust_options
def check_entry(options: Options, file: Path, *, policy: Path | None, vkey: str | None) -> int:
    """Check a proof that `prove` wrote: the entry in it is in the log, and who vouches for that.

    Exit code 0: it is proved; 4: it is not; 1: it is, but the policy's quorum is not met.

    \b
    Example:
      exchange-audit check 73894.tlog-proof --policy homeward.policy
    """
    trust = read_trust(options, None, read_policy(policy), vkey)
    try:
        text = read_bounded(file, limit=2 * NOTE_CHARS, what="proof").decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("the file is not a proof", field="FILE") from error
    found = check_proof(text, trust)
    if options.json:
        print_json(_as_json(found))
    else:
        tree = found.checkpoint
        say(
            "entry {index} of {log} is proved, in a tree of {size}",
            index=found.index,
            log=tree.origin,
            size=tree.size,
        )
        say(found.entry.decode("ascii"))
        say("witnessed: {what}", what=_witnesses(found))
    return FAILED if found.quorum is not None and not found.quorum.witnessed else DONE


def _as_json(found: Proved) -> dict[str, object]:
    return {
        "log": found.checkpoint.origin,
        "index": found.index,
        "size": found.checkpoint.size,
        "entry": decode(found.entry, limit=LIMITS.entry_bytes),
        "witnessed": None if found.quorum is None else found.quorum.witnessed,
        "until": None if found.quorum is None else found.quorum.when,
    }


def _witnesses(found: Proved) -> str:
    if found.quorum is None:
        return gettext("not judged: no policy was given")
    if not found.quorum.witnessed:
        return gettext("the policy's quorum is NOT met")
    when = found.quorum.when
    if when is None:
        return gettext("the policy asks for no witness")
    return gettext("by a quorum, at {when}", when=f"{when:%Y-%m-%d %H:%M:%S} UTC")
