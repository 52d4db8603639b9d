"""`verify`: check a pulled log offline; no passphrase, no network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import click

from exchange.auditor.cli.trust import KEY_SOURCES, read_notes, read_policy, read_trust, trust_options
from exchange.auditor.history import Trust
from exchange.auditor.mirror import Mirror
from exchange.auditor.partial import Partial, PartVerdict
from exchange.auditor.verdict import Fault, Finding, Verdict, Witnessed
from exchange.auditor.verify import verify_mirror
from exchange.member.cli.exits import DONE, FAILED, REFUSED, report
from exchange.member.cli.options import Options, common_options
from exchange.member.cli.output import print_json, say
from exchange.member.cli.progress import steps_bar
from exchange.words import gettext, marked, pgettext
from exchange_schemas.errors import LogIncomplete

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command()
@common_options
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@trust_options
@click.option(
    "--against", type=_FILE, multiple=True, help="A checkpoint that somebody else saw; may be given again."
)
def verify(
    options: Options, folder: Path, *, policy: Path | None, vkey: str | None, against: tuple[Path, ...]
) -> int:
    """Check the pulled log in DIR: its entries, tree and checkpoint, its history, its witnesses.

    \b
    Exit codes:
      0  everything that was asked for holds
      2  the log or the copy is wrong: an entry, a tile, a root, a signature, a time, heads, another history
      1  nothing is wrong, but files are missing, heads came late, or the policy's quorum is not met

    \b
    Example:
      exchange-audit verify log/ --policy homeward.policy
    """
    mirror = Mirror(folder)
    wanted = read_policy(policy)
    try:
        trust = read_trust(options, mirror, wanted, vkey)
        if Partial(folder).exists() and not mirror.has_checkpoint():
            return _verify_part(options, Partial(folder), trust, against)
        with steps_bar("verifying") as progress:
            verdict = verify_mirror(mirror, trust, others=read_notes(against), progress=progress)
    except LogIncomplete as error:
        report(error)
        return FAILED
    if options.json:
        print_json(as_json(verdict))
    else:
        _tell(verdict)
    if not verdict.holds:
        return REFUSED
    return DONE if verdict.ok else FAILED


def _verify_part(options: Options, part: Partial, trust: Trust, against: tuple[Path, ...]) -> int:
    """The same for a copy that holds the entries about some agencies."""
    found = part.verify(trust, others=read_notes(against))
    if options.json:
        print_json(part_as_json(found, trust))
    else:
        _say_lines(_lines_of_part(found, trust))
        _tell_findings(found.findings, found.counts)
    if not (found.integrity and found.history):
        return REFUSED
    return DONE if found.ok else FAILED


def part_as_json(found: PartVerdict, trust: Trust) -> dict[str, object]:
    """The verdict on a part, with the members of the verdict on a whole copy."""
    return {
        "log": found.origin,
        "key": trust.source,
        "size": found.size,
        "entries": found.entries,
        "about": found.about,
        "integrity": found.integrity,
        "complete": False,
        "history": found.history,
        "slices": None,
        "covered": None,
        "witnessed": _witnessed_as_json(found.witnessed),
        "ok": found.ok,
        "faults": found.counts,
        "findings": list(found.findings),
    }


def as_json(verdict: Verdict) -> dict[str, object]:
    """The verdict as docs/audit.md describes it."""
    return {
        "log": verdict.origin,
        "key": verdict.key,
        "size": verdict.size,
        "checked": verdict.checked,
        "integrity": verdict.integrity,
        "complete": verdict.complete,
        "history": verdict.history,
        "slices": verdict.slices,
        "covered": verdict.covered,
        "witnessed": _witnessed_as_json(verdict.witnessed),
        "ok": verdict.ok,
        "faults": verdict.counts,
        "findings": list(verdict.findings),
    }


def _witnessed_as_json(found: Witnessed | None) -> dict[str, object] | None:
    if found is None:
        return None
    return {
        "satisfied": found.satisfied,
        "needed": found.needed,
        "size": found.size,
        "until": found.when,
    }


def _tell(verdict: Verdict) -> None:
    _say_lines(_lines(verdict))
    _tell_findings(verdict.findings, verdict.counts)


def _tell_findings(findings: Sequence[Finding], counts: Mapping[Fault, int]) -> None:
    for finding in findings:
        say("  {fault}: {what}", fault=pgettext("fault", finding.fault), what=finding.text)
    if sum(counts.values()) > len(findings):
        rest = ", ".join(f"{pgettext('fault', fault)} {count}" for fault, count in sorted(counts.items()))
        say("  and more; in all: {faults}", faults=rest)


def _say_lines(lines: Iterable[tuple[str, str]]) -> None:
    for name, said in lines:
        say("{name} {what}", name=f"{gettext(name)}:".ljust(13), what=said)


def _lines_of_part(found: PartVerdict, trust: Trust) -> Iterator[tuple[str, str]]:
    yield (
        marked("log"),
        gettext(
            "{log}, {entries} of {size} entries, those about {agencies}",
            log=found.origin,
            entries=found.entries,
            size=found.size,
            agencies=", ".join(found.about),
        ),
    )
    yield marked("key"), gettext(KEY_SOURCES[trust.source])
    yield (
        marked("integrity"),
        gettext("every entry is in a tree that the log signed") if found.integrity else gettext("BROKEN"),
    )
    yield (
        marked("completeness"),
        gettext("NOT complete by itself: nothing shows that these are all"),
    )
    yield marked("history"), _tell_history(holds=found.history)
    yield marked("witnessed"), tell_witnesses(found.witnessed)


def _lines(verdict: Verdict) -> Iterator[tuple[str, str]]:
    """Each thing that was judged, and how."""
    yield (
        marked("log"),
        gettext(
            "{log}, {size} entries by its checkpoint, {checked} read",
            log=verdict.origin,
            size=verdict.size,
            checked=verdict.checked,
        ),
    )
    yield marked("key"), gettext(KEY_SOURCES[verdict.key])
    yield (
        marked("integrity"),
        gettext("every entry and the tree hold") if verdict.integrity else gettext("BROKEN"),
    )
    yield (
        marked("completeness"),
        gettext("whole to entry {size}", size=verdict.size)
        if verdict.complete
        else gettext("entries or tiles are MISSING"),
    )
    yield marked("history"), _tell_history(holds=verdict.history)
    yield marked("slices"), tell_slices(verdict)
    yield marked("witnessed"), tell_witnesses(verdict.witnessed)


def _tell_history(*, holds: bool) -> str:
    return gettext("nothing that is known contradicts it") if holds else gettext("CONTRADICTED")


def tell_slices(verdict: Verdict) -> str:
    """What the heads entries are worth, for a person."""
    if verdict.slices is None:
        return gettext("not judged: the copy lacks their salts, or its entries do not hold")
    if verdict.slices and verdict.covered == 0:
        return gettext("nothing is committed to yet")
    if verdict.slices:
        return gettext("every agency was shown all that concerns it, to entry {size}", size=verdict.covered)
    if Fault.HEADS_WRONG in verdict.counts:
        return gettext("WRONG")
    return gettext("the hub's commitments to agencies came LATE")


def tell_witnesses(found: Witnessed | None) -> str:
    """What the witnesses say, for a person."""
    if found is None:
        return gettext("not judged: no policy was given")
    if not found.needed:
        return gettext("the policy asks for no witness")
    if not found.satisfied or found.when is None:
        return gettext("the policy's quorum is NOT met for any checkpoint of this copy")
    return gettext(
        "until {when}, to entry {size}", when=f"{found.when:%Y-%m-%d %H:%M:%S} UTC", size=found.size
    )
