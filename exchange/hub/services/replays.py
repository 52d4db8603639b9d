"""What may be used once: proofs and assertions by the hash of their jti, and tokens that were revoked.

The rows are written in the outer transaction, beside the audit entry, so that a denial keeps them. Nothing
here may be remembered in a process: two workers would take the same proof twice.
"""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, Table, bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert

from exchange.hub.models.log import audit_pull
from exchange.hub.models.replay import replay, revoked_token
from exchange.hub.sql import Call, Statement

PRUNED_AT_ONCE: Final = 1024
# Workers' clocks may differ: a row outlives its proof by this much.
MARGIN_S: Final = 120
_FOLLOWING: Final = select(replay.c.jti_hash).order_by(replay.c.jti_hash).limit(PRUNED_AT_ONCE)
_SPEND: Final = Statement(insert(replay).on_conflict_do_nothing(), fills=("jti_hash", "expires"))
_REVOKE: Final = Statement(insert(revoked_token).on_conflict_do_nothing(), fills=("jti", "expires"))
_IS_REVOKED: Final = Statement(select(revoked_token.c.jti).where(revoked_token.c.jti == bindparam("jti")))


def spending(jti_hash: bytes, expires: datetime) -> Call:
    """Uses up a proof, given by the 32-byte hash of its jti; changes no row when it was used before.

    On PostgreSQL a second user waits for the first one's transaction, so exactly one changes a row.
    """
    return _SPEND.call(jti_hash=jti_hash, expires=int(expires.timestamp()))


def prune_sometimes(conn: Connection, jti_hash: bytes, now: datetime) -> None:
    """For one jti in 256: delete what has expired, of proofs among those that follow this one.

    Four times as many are looked at as came in meanwhile, so no more than a third of all are expired ones.
    """
    if jti_hash[-1] == 0:
        near = _FOLLOWING.where(replay.c.jti_hash > jti_hash).subquery()
        found = select(replay.c.jti_hash).join(near, near.c.jti_hash == replay.c.jti_hash)
        _delete_expired(conn, replay, found, now)
        for table in (revoked_token, audit_pull):
            prune_table(conn, table, now)


def revoke_token(conn: Connection, jti: str, *, expires: datetime) -> None:
    """Refuse this access token from now on in every worker; the row may go when the token has expired."""
    _REVOKE.run(conn, {"jti": jti, "expires": int(expires.timestamp())})


def asking_revoked(jti: str) -> Call:
    """Gives a row when the access token with this jti was revoked."""
    return _IS_REVOKED.call(jti=jti)


def prune_table(conn: Connection, table: Table, now: datetime) -> int:
    """Delete a bounded number of the table's rows that expired; the count."""
    (key,) = table.primary_key.columns
    return _delete_expired(conn, table, select(key).limit(PRUNED_AT_ONCE), now)


def _delete_expired(conn: Connection, table: Table, found: Select[Any], now: datetime) -> int:
    """Delete those of the rows whose keys are `found` that expired; the count."""
    (key,) = table.primary_key.columns
    expired = found.where(table.c.expires < int(now.timestamp()) - MARGIN_S)
    # Rows that another worker is deleting are skipped, so that two cannot wait for one another.
    free = expired.with_for_update(of=table, skip_locked=True)
    return conn.execute(delete(table).where(key.in_(free))).rowcount
