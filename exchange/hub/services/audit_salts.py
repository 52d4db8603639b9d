"""Salted commitments: the log says "the same consent family" or "the same envelope" without saying which.

Each family and each envelope has one random salt, so that reports can group entries. Salts and values lie in
erasable tables: once they are gone the entries verify as before and say nothing. An entry must never hold an
identifier itself.
"""

from collections.abc import Callable, Mapping
from typing import Final, Literal

from sqlalchemy import Connection, bindparam, delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from exchange.hub.models.log import log_disclosure, log_salt
from exchange_schemas.codec import b64u, lp, sha256
from exchange_schemas.ids import Digest

Scope = Literal["cns", "rec"]
SALT_BYTES: Final = 32
_LABEL: Final = b"hx1/commitment"
_SALT: Final = select(log_salt.c.salt).where(
    log_salt.c.scope == bindparam("scope"), log_salt.c.ref == bindparam("ref")
)
_NEW_SALT: Final = {
    "sqlite": sqlite.insert(log_salt).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(log_salt).on_conflict_do_nothing(),
}
_DISCLOSE: Final = insert(log_disclosure)


def commitment(scope: str, salt: bytes, value: str) -> Digest:
    """`H(LP("hx1/commitment") ‖ LP(scope) ‖ LP(salt) ‖ LP(value))` in base64url."""
    return Digest(b64u(sha256(lp(_LABEL, scope.encode(), salt, value.encode()))))


def salt_of(conn: Connection, scope: Scope, ref: str, random: Callable[[int], bytes]) -> bytes:
    """The salt of a consent family ("cns") or envelope ("rec"), made at its first use; 32 bytes."""
    key = {"scope": scope, "ref": ref}
    salt = conn.execute(_SALT, key).scalar_one_or_none()
    if salt is None:
        # Two workers may be first at once: one row wins, both read it.
        conn.execute(_NEW_SALT[conn.dialect.name], {**key, "salt": random(SALT_BYTES)})
        salt = conn.execute(_SALT, key).scalar_one()
    return bytes(salt)


def disclose(conn: Connection, entry_id: str, values: Mapping[str, tuple[bytes, str]]) -> None:
    """Keep what an entry's commitments stand for: name → (salt, value); erasable."""
    rows = [
        {"entry_id": entry_id, "name": name, "salt": salt, "value": value}
        for name, (salt, value) in values.items()
    ]
    if rows:
        conn.execute(_DISCLOSE, rows)


def erase(conn: Connection, scope: Scope, ref: str) -> None:
    """Forget a family's or an envelope's salt and every disclosure of it; the log stays verifiable.

    A later entry about it would get another salt and could not be linked to the earlier ones.
    """
    found = log_disclosure.c.name == scope, log_disclosure.c.value == ref
    conn.execute(delete(log_disclosure).where(*found))
    conn.execute(delete(log_salt).where(log_salt.c.scope == scope, log_salt.c.ref == ref))
