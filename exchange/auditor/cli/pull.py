"""`pull`: bring the copy of the log up to date, and ask the witnesses what they saw of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from exchange.auditor.cli.trust import pinned_policy, read_policy
from exchange.auditor.disclosed import Disclosed, PulledDisclosures
from exchange.auditor.mirror import Mirror
from exchange.auditor.partial import Partial, PulledPart
from exchange.auditor.pull import LIMITED, Pulled, keep_seen, public_checkpoint
from exchange.auditor.pull import pull as pull_log
from exchange.auditor.reading import entries_from
from exchange.auditor.witnessed import Asked, pull_with_witnesses, see_for_part
from exchange.log.policy import Policy
from exchange.member.cli.options import Options, common_options
from exchange.member.cli.output import print_json, say, say_count
from exchange.member.cli.progress import steps_bar
from exchange.member.cli.session import open_unlocked
from exchange.member.session import Session
from exchange.net.witnesses import asking
from exchange_schemas.errors import NotPermitted

Progress = Callable[[int, int], None]


@click.command()
@common_options
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--policy",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Ask the witnesses of this policy what they cosigned, instead of those that your own folder pins.",
)
@click.option("--disclosures", is_flag=True, help="Also fetch what the log's commitments stand for.")
def pull(options: Options, folder: Path, policy: Path | None, *, disclosures: bool) -> None:
    """Fetch into DIR what the log has that DIR lacks; run it again to resume or to go on.

    DIR has the layout of a static C2SP log. The log's key is pinned at the first pull; a log that was cut or
    rewritten since is refused and DIR stays as it was, with the signed proof in DIR/evidence. Every
    checkpoint that was pulled is kept in DIR/checkpoints with its cosignatures. When the log's key changes,
    take the new deployment file first: the next pull pins the new key if the log signs with both.

    An auditor who is accredited for some agencies gets the entries about those, each with its proof, in
    DIR/partial.sqlite: they are in the log, and nothing shows that they are all.

    \b
    Example:
      exchange-audit --home audit pull log/ --policy homeward.policy
    """
    wanted, asked, shown = read_policy(policy), None, None
    with open_unlocked(options) as session, steps_bar("pulling") as progress:
        named = wanted or pinned_policy(session.profile.deployment)
        try:
            result, asked = _whole(session, folder, named, progress)
            part = None
        except NotPermitted as error:
            if error.rule != LIMITED:
                raise
            part, asked = _part(session, folder, named, progress)
        if disclosures:
            mirror = Mirror(folder)
            held = (
                partial(entries_from, mirror, result.size) if part is None else Partial(folder).entries_from
            )
            size = result.size if part is None else part.size
            with mirror.locked():
                shown = Disclosed(folder).pull(session.hub, size, held)
    if part is None:
        _tell(options, folder, result, asked, shown)
    else:
        _tell_part(options, folder, part, asked, shown)


def _whole(
    session: Session, folder: Path, policy: Policy | None, progress: Progress
) -> tuple[Pulled, Asked | None]:
    mirror, vkey, hub = Mirror(folder), session.profile.deployment.audit_vkey, session.hub

    def once() -> Pulled:
        return pull_log(mirror, hub, vkey, progress=progress)

    if policy is None:
        result = once()
        keep_seen(mirror, public_checkpoint(hub), vkey)
        return result, None
    with asking() as ask:
        return pull_with_witnesses(once, mirror, hub, vkey, policy=policy, ask=ask, now=datetime.now(UTC))


def _part(
    session: Session, folder: Path, policy: Policy | None, progress: Progress
) -> tuple[PulledPart, Asked | None]:
    part, vkey, hub = Partial(folder), session.profile.deployment.audit_vkey, session.hub
    result = part.pull(hub, vkey, progress=progress)
    with asking() as ask:
        return result, see_for_part(part, hub, vkey, policy=policy, ask=ask, now=datetime.now(UTC))


def _tell(
    options: Options, folder: Path, result: Pulled, asked: Asked | None, shown: PulledDisclosures | None
) -> None:
    if options.json:
        facts: dict[str, object] = {"before": result.before, "size": result.size, "files": result.files}
        print_json({**facts, "witnesses": asked, "disclosures": shown, "complete": True})
        return
    say(
        "{folder}: {size} entries, {new} new, {files} files fetched",
        folder=folder,
        size=result.size,
        new=result.size - result.before,
        files=result.files,
    )
    _tell_asked(asked)
    _tell_shown(shown)


def _tell_asked(asked: Asked | None) -> None:
    if asked is not None:
        say_count(
            "{count} witness showed what it cosigned",
            "{count} witnesses showed what they cosigned",
            asked.answered,
        )
        for line in asked.silent:
            say("  not asked or not usable: {what}", what=line)


def _tell_part(
    options: Options,
    folder: Path,
    part: PulledPart,
    asked: Asked | None,
    shown: PulledDisclosures | None,
) -> None:
    if options.json:
        facts: dict[str, object] = {"entries": part.entries, "new": part.new, "size": part.size}
        about: dict[str, object] = {"about": part.about, "witnesses": asked, "disclosures": shown}
        print_json({**facts, **about, "complete": False})
        return
    say(
        "{folder}: {entries} entries about {agencies}, {new} new; NOT complete by themselves",
        folder=folder,
        entries=part.entries,
        agencies=", ".join(part.about),
        new=part.new,
    )
    _tell_asked(asked)
    _tell_shown(shown)


def _tell_shown(shown: PulledDisclosures | None) -> None:
    if shown is not None:
        say("disclosures: {new} new, {erased} erased as the log says", new=shown.new, erased=shown.erased)
