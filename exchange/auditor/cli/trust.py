"""What an auditor brings along to judge a log by: its key, a policy, checkpoints that others saw."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from exchange.auditor.history import Trust
from exchange.auditor.mirror import KeptNote, Mirror
from exchange.log.checkpoint import parse_vkey
from exchange.log.note import NOTE_BYTES
from exchange.log.policy import MAX_BYTES, Policy
from exchange.member.cli.options import Options
from exchange.member.deployment import Deployment
from exchange.member.files import read_bounded
from exchange.member.home import Home
from exchange.words import marked
from exchange_schemas.errors import ConfigInvalid

KEY_SOURCES = {
    "policy": marked("from the policy"),
    "given": marked("as given"),
    "deployment": marked("from this auditor's own folder"),
    "folder": marked("from the copy itself: PROVES NOTHING against somebody who could write to it"),
}
_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
F = TypeVar("F", bound=Callable[..., Any])


def read_policy(path: Path | None) -> Policy | None:
    """The policy file, if one was named. Raises: ConfigInvalid."""
    return None if path is None else Policy.from_bytes(read_bounded(path, limit=MAX_BYTES, what="policy"))


def trust_options(command: F) -> F:
    """Add --policy and --vkey."""
    policy = click.option("--policy", type=_FILE, help="Logs, witnesses, quorum to trust (C2SP tlog-policy).")
    vkey = click.option("--vkey", help="The log's key, if no policy names it.")
    return policy(vkey(command))


def read_trust(options: Options, mirror: Mirror | None, policy: Policy | None, vkey: str | None) -> Trust:
    """The log's key from the surest source there is: policy, `--vkey`, the auditor's own folder, the copy.

    Without a policy, the witnesses that the auditor's own folder pins are the policy.
    Raises: ConfigInvalid when there is none at all; LogIncomplete when the copy has none.
    """
    now = datetime.now(UTC)
    # A copy that went through a change of the key has checkpoints that only the key before signed.
    former = () if mirror is None or not mirror.is_pinned() else tuple(map(parse_vkey, mirror.vkeys))
    if policy is not None and policy.logs:
        return Trust(tuple(log.key for log in policy.logs), "policy", now, policy, former)
    if vkey is not None:
        return Trust((parse_vkey(vkey),), "given", now, policy, former)
    if options.home is not None:
        pins = Home(options.home).profile().deployment
        named = policy or pinned_policy(pins)
        return Trust((parse_vkey(pins.audit_vkey),), "deployment", now, named, former)
    if mirror is None:
        raise ConfigInvalid("the log's key is not known", field="vkey", hint="give --policy or --vkey")
    return Trust(tuple(map(parse_vkey, mirror.vkeys)), "folder", now, policy)


def pinned_policy(pins: Deployment) -> Policy | None:
    """The witnesses of the audit log as a deployment file names them; None when it names none."""
    return None if pins.audit_witnesses is None else pins.audit_witnesses.policy(pins.audit_vkey)


def read_notes(paths: tuple[Path, ...]) -> list[KeptNote]:
    """Checkpoints that somebody else saw. Raises: ConfigInvalid."""
    return [KeptNote(str(path), _text(path)) for path in paths]


def _text(path: Path) -> str:
    try:
        return read_bounded(path, limit=NOTE_BYTES, what="checkpoint").decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigInvalid(f"{path.name} is no signed note", field="against") from error
