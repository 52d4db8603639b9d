"""The pool of each rate limit, in the database that all workers share: one small transaction for a lease.

A lease counts only in its own window. It needs no entry in the log and no savepoint, and whoever cannot have
one because the database is busy is not refused for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BindParameter, bindparam, case, delete, select
from sqlalchemy.dialects.postgresql import insert

from exchange.hub.db import storage_errors, writing
from exchange.hub.models.limits import rate_lease
from exchange.hub.services.limits import WINDOW_S, Ask, Lease
from exchange_schemas.codec import b64u, lp, sha256
from exchange_schemas.errors import ServiceError

if TYPE_CHECKING:
    from sqlalchemy import Engine

_LABEL: Final = b"hx1/rate-limit"
KEPT_WINDOWS: Final = 3600 // WINDOW_S
_PRUNED_AT_ONCE: Final = 1024
_PRUNED_EVERY: Final = 64
_NEW: Final = insert(rate_lease)
# A worker whose clock is behind counts into the newer window: it never opens an old one again.
_TAKE: Final = _NEW.on_conflict_do_update(
    index_elements=[rate_lease.c.caller],
    set_={
        "taken": case(
            (_NEW.excluded.win > rate_lease.c.win, _NEW.excluded.taken),
            else_=rate_lease.c.taken + _NEW.excluded.taken,
        ),
        "win": case((_NEW.excluded.win > rate_lease.c.win, _NEW.excluded.win), else_=rate_lease.c.win),
    },
).returning(rate_lease.c.taken)
_OLD: Final[BindParameter[Any]] = bindparam("old")
_PRUNE: Final = delete(rate_lease).where(
    rate_lease.c.caller.in_(
        select(rate_lease.c.caller)
        .where(rate_lease.c.win < _OLD)
        .limit(_PRUNED_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
)


def take_lease(engine: Engine, ask: Ask) -> Lease | None:
    """Take up to `ask.most` from the caller's pool of the window; None when the database does not answer."""
    caller = sha256(lp(_LABEL, ask.policy.encode(), ask.key.encode()))
    row = {"caller": b64u(caller), "win": ask.window, "taken": ask.most}
    try:
        with storage_errors(), writing(engine) as conn:
            taken = int(conn.execute(_TAKE, row).scalar_one())
            if (ask.window + caller[0]) % _PRUNED_EVERY == 0:
                conn.execute(_PRUNE, {"old": ask.window - KEPT_WINDOWS})
    except ServiceError:
        return None
    given = max(0, min(ask.most, ask.pool - (taken - ask.most)))
    return Lease(given, max(0, ask.pool - taken))
