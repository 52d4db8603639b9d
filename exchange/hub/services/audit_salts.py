"""Salted commitments: the log says "the same consent family" or "the same envelope" without saying which.

Each family and each envelope has one random salt, so that reports can group entries. Salts and values lie in
erasable tables: once they are gone the entries verify as before and say nothing. An entry must never hold an
identifier itself.
"""

from collections.abc import Callable, Mapping
from typing import Final, Literal

from sqlalchemy import Connection, and_, bindparam, or_, select
from sqlalchemy.dialects.postgresql import insert

from exchange.hub.models.log import log_disclosure, log_salt
from exchange.hub.sql import Call, Statement, together
from exchange.log.commitment import SALT_BYTES

Scope = Literal["cns", "rec"]
_SALTS: Final = Statement(
    select(log_salt.c.scope, log_salt.c.salt).where(
        or_(
            and_(log_salt.c.scope == "cns", log_salt.c.ref == bindparam("cns")),
            and_(log_salt.c.scope == "rec", log_salt.c.ref == bindparam("rec")),
        )
    )
)
_NEW_SALT: Final = Statement(insert(log_salt).on_conflict_do_nothing(), fills=("scope", "ref", "salt"))
_DISCLOSE: Final = Statement(insert(log_disclosure), fills=("entry_id", "name", "salt", "value"))


def salts_of(
    conn: Connection, refs: Mapping[Scope, str], random: Callable[[int], bytes]
) -> Mapping[Scope, bytes]:
    """The salt of a consent family ("cns") and of an envelope ("rec"), 32 bytes each, made at first use."""
    if not refs:
        return {}
    # Two workers may be first at once: one row wins, both read it.
    rows = [{"scope": scope, "ref": ref, "salt": random(SALT_BYTES)} for scope, ref in refs.items()]
    asked = _SALTS.call(cns=refs.get("cns"), rec=refs.get("rec"))
    _, found = together(conn, _NEW_SALT.for_each(rows), asked)
    return {row.scope: bytes(row.salt) for row in found.rows}


def disclosing(values: Mapping[str, Mapping[str, tuple[bytes, str]]]) -> tuple[Call, ...]:
    """Keeps what entries' commitments stand for: entry id → name → (salt, value); erasable."""
    rows = [
        {"entry_id": entry_id, "name": name, "salt": salt, "value": value}
        for entry_id, named in values.items()
        for name, (salt, value) in named.items()
    ]
    return (_DISCLOSE.for_each(rows),) if rows else ()
