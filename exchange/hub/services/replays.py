"""What may be used once: proofs and assertions by the hash of their jti, and tokens that were revoked.

The rows are written in the outer transaction, beside the audit entry, so that a denial keeps them. Nothing
here may be remembered in a process: two workers would take the same proof twice.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Table, bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert

from exchange.hub.models.log import audit_pull
from exchange.hub.models.replay import replay, revoked_token
from exchange.hub.sql import Call, Statement

PRUNED_AT_ONCE: Final = 1024
# Workers' clocks may differ: a row outlives its proof by this much.
MARGIN_S: Final = 120
_SPEND: Final = Statement(insert(replay).on_conflict_do_nothing(), fills=("jti_hash", "expires"))
_REVOKE: Final = Statement(insert(revoked_token).on_conflict_do_nothing(), fills=("jti", "expires"))
_IS_REVOKED: Final = Statement(select(revoked_token.c.jti).where(revoked_token.c.jti == bindparam("jti")))


def spending(jti_hash: bytes, expires: datetime) -> Call:
    """Uses up a proof, given by the 32-byte hash of its jti; changes no row when it was used before.

    On PostgreSQL a second user waits for the first one's transaction, so exactly one changes a row.
    """
    return _SPEND.call(jti_hash=jti_hash, expires=int(expires.timestamp()))


def prune_sometimes(conn: Connection, jti_hash: bytes, now: datetime) -> None:
    """For one jti in 256: delete some expired rows, four times as many as came in meanwhile."""
    if jti_hash[0] == 0:
        prune(conn, now)


def revoke_token(conn: Connection, jti: str, *, expires: datetime) -> None:
    """Refuse this access token from now on in every worker; the row may go when the token has expired."""
    _REVOKE.run(conn, {"jti": jti, "expires": int(expires.timestamp())})


def asking_revoked(jti: str) -> Call:
    """Gives a row when the access token with this jti was revoked."""
    return _IS_REVOKED.call(jti=jti)


def prune(conn: Connection, now: datetime) -> int:
    """Delete a bounded number of rows that expired; the count."""
    return sum(prune_table(conn, table, now) for table in (replay, revoked_token, audit_pull))


def prune_table(conn: Connection, table: Table, now: datetime) -> int:
    """The same of one of these tables."""
    (key,) = table.primary_key.columns
    # Rows that another worker is deleting are skipped, so that two cannot wait for one another.
    expired = (
        select(key)
        .where(table.c.expires < int(now.timestamp()) - MARGIN_S)
        .limit(PRUNED_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    return conn.execute(delete(table).where(key.in_(expired))).rowcount
