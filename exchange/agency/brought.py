"""Grants that a courier brought and nobody has opened: sealed, but beside the key that opens them.

So they go as what was opened goes: with a deletion, and once they may not be opened any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from exchange.agency.fetched import read_fetched
from exchange.member.carried import GRANTS
from exchange.member.session import Session
from exchange.net.wire import ANSWER_BYTES
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import decode
from exchange_schemas.consent import Consent
from exchange_schemas.envelope import GrantCore
from exchange_schemas.errors import Malformed
from exchange_schemas.ids import GrantId, check_id

_OK = 200


@dataclass(frozen=True, slots=True)
class Brought:
    """One of them that carries fields of a record, as the hub gave it: nothing of it is verified."""

    core: GrantCore
    consent: Consent


def forget(session: Session, gid: str) -> None:
    """Delete what was brought of one grant; nothing where there is a connection."""
    if session.carried is not None:
        session.carried.forget(under=f"{GRANTS}{gid}")


def forget_family(session: Session, family: str) -> list[GrantCore]:
    """Delete what rests on the consents of a family; what it was."""
    return _forget(session, [one.core for one in _each(session) if one.consent.family == family])


def forget_ended(session: Session) -> list[GrantCore]:
    """Delete what is past its time; what it was."""
    now = session.now()
    return _forget(session, [one.core for one in _each(session) if min(one.core.exp, one.consent.exp) <= now])


def _forget(session: Session, cores: list[GrantCore]) -> list[GrantCore]:
    for core in cores:
        forget(session, core.gid)
    return cores


def _each(session: Session) -> Iterator[Brought]:
    if session.carried is None:
        return
    for _, path, answer in list(session.carried.each()):
        name = path.removeprefix(GRANTS)
        if name == path or "/" in name or answer.status != _OK:
            continue
        try:
            found = _read(name, answer.body)
        except Malformed:
            # Opening it says so.
            continue
        if found is not None:
            yield found


def _read(name: str, body: bytes) -> Brought | None:
    gid = GrantId(check_id(name, field="gid"))
    fetched = read_fetched(gid, decode(body, limit=ANSWER_BYTES, depth=12))
    core = GrantCore.from_bytes(fetched.core)
    kind = load_catalogue().kinds.get(core.kind)
    if fetched.consent is None or kind is None or kind.authority != "consent":
        return None
    return Brought(core, Consent.from_bytes(fetched.consent.payload))
