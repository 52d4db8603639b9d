"""Changing the key of one of the hub's logs: both keys sign while members and witnesses change their pins.

With k operators needed, the first one's command writes a file, the others sign it, and the move is made from
it. The move is logged before the key file changes: what cannot be logged is not done.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from exchange.hub.admin.commands import Target
from exchange.hub.admin.hub_act import BEGIN, FINISH, HubKeyAct
from exchange.hub.admin.key_acts import Papers, key_signers
from exchange.hub.admin.operator_key import KeySource
from exchange.hub.hubkeys import log_key_file
from exchange.hub.logkeys import CHANGE_LEAST, LogChange, begin, finish
from exchange.hub.services.hub import Hub
from exchange.hub.services.operators import opr_of
from exchange.hub.services.release import Answer, Trace, release_admin
from exchange.hub.services.unit import Unit
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import JsonValue, format_time
from exchange_schemas.entry import Act


@dataclass(frozen=True, slots=True)
class Move:
    """What the command line asks for. `approved` is the file that the operators signed."""

    kind: str
    finish: bool = False
    early: bool = False
    proposal: Path | None = None
    approved: Path | None = None


def change_log_key(target: Target, hub: Hub, source: KeySource | None, move: Move) -> None:
    """Make the move, or write what the other operators must sign. Raises: Conflict, SenderMismatch, …"""
    found = log_key_file(hub.settings, move.kind)
    changed = _changed(found, hub, move)
    word = FINISH if move.finish else BEGIN
    kid = found.file.current.public.kid
    asked = HubKeyAct(hub.settings.origin, move.kind, word, kid, hub.clock().replace(microsecond=0))
    names = key_signers(target, hub, source, asked, Papers(move.proposal, move.approved))
    if names is not None:
        _make(target, hub, changed, move, names)


def _changed(found: LogChange, hub: Hub, move: Move) -> LogChange:
    if move.finish:
        return replace(found, file=finish(found.file, hub.clock(), early=move.early))
    return replace(found, file=begin(found.file, hub.clock(), SigningKey.generate))


def _make(target: Target, hub: Hub, changed: LogChange, move: Move, names: list[str]) -> None:
    trace = Trace(act=Act.KEY_ROTATE)

    def work(_unit: Unit) -> Answer:
        return Answer({}, trace)

    released = release_admin(hub, opr_of(names), trace, work)
    changed.write()
    since = changed.file.since
    facts: dict[str, JsonValue] = {
        "kind": move.kind,
        "kid": changed.file.current.public.kid,
        "state": "single" if changed.file.before is None else "changing",
        "signed_by": list(names),
        "entry": None if released.receipt is None else released.receipt.entry_id,
    }
    if move.finish:
        target.out.done("the old {kind} key signs no more; restart every worker", facts)
        return
    until = None if since is None else format_time(since + CHANGE_LEAST)
    target.out.done("the {kind} key is changing: restart every worker, then both keys sign", facts)
    target.out.note(
        "next: `exchange-hub deployment export FILE`, give it to every member and witness, and not before "
        "{until}: `exchange-hub keys rotate {kind} --finish`",
        until=until,
        kind=move.kind,
    )
