"""Parts that are uploaded before their envelope: large ciphertexts, each under its digest and its sender.

States of a part's row: unused (until `expires`) → used by one envelope, for good. An unused part that is past
its time is given up: its row and its bytes go. Nothing here can open a part, and no other agency can see or
use one before a grant names it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from exchange.hub.db import reading, storage_errors, writing
from exchange.hub.models.parts import part
from exchange.hub.services.release import Answer, Caller, Released, Trace, release
from exchange_keys.padding import padded_length
from exchange_keys.parts import sealed_length
from exchange_schemas.codec import JsonValue, format_time
from exchange_schemas.entry import Act
from exchange_schemas.errors import StorageFull
from exchange_schemas.ids import Digest, check_digest
from exchange_schemas.limits import LIMITS

if TYPE_CHECKING:
    from exchange.hub.blobs import Readable
    from exchange.hub.services.hub import Hub
    from exchange.hub.services.unit import Unit

MAX_BYTES: Final = sealed_length(padded_length(LIMITS.attachment_bytes, None))
"""The ciphertext of the largest attachment."""
UNUSED_FOR: Final = timedelta(hours=24)
UNUSED_BYTES: Final = 512 * 1024 * 1024
"""What one agency may have uploaded and not yet used, in bytes."""
_GIVEN_UP_AT_ONCE: Final = 64

_OWN: Final = (part.c.agency == bindparam("me"), part.c.sha256 == bindparam("digest"))
_FIND: Final = select(part.c.bytes, part.c.eid, part.c.ct.is_not(None).label("inline")).where(*_OWN)
_UNUSED: Final = select(func.coalesce(func.sum(part.c.bytes), 0)).where(
    part.c.agency == bindparam("me"), part.c.expires > bindparam("now"), part.c.sha256 != bindparam("digest")
)
_EXPIRED: Final = (
    select(part.c.sha256)
    .where(part.c.agency == bindparam("me"), part.c.expires <= bindparam("now"))
    .limit(_GIVEN_UP_AT_ONCE)
)
_GIVE_UP: Final = delete(part).where(
    part.c.agency == bindparam("me"), part.c.expires <= bindparam("now"), part.c.sha256 == bindparam("digest")
)
_STANDS: Final = (
    select(part.c.agency).where(part.c.sha256 == bindparam("digest"), part.c.ct.is_(None)).limit(1)
)


def upload(hub: Hub, caller: Caller, digest: str, source: Readable) -> Released:
    """Keep one ciphertext of the caller for 24 hours, until an envelope uses it.

    201 when it is new, 200 when it was there; `expires_at` is null once it is used.
    Raises: Malformed, TooLarge, PartDigest, StorageFull (also when the caller's share is used up).
    """
    checked = check_digest(digest, field="sha256")
    size = _receive(hub, caller, checked, source)
    return register(hub, caller, checked, size)


def register(hub: Hub, caller: Caller, digest: Digest, size: int) -> Released:
    """Make bytes of the blob store a part of the caller's; they go again when that is refused."""
    trace = Trace(act=Act.PART_UPLOAD)
    try:
        return release(hub, caller, trace, lambda unit: _register(unit, caller, digest, size))
    finally:
        _drop_unclaimed(hub, digest)


def check_room(hub: Hub, caller: Caller, digest: Digest, size: int) -> None:
    """Whether so many bytes more are within the caller's share. Raises: StorageFull."""
    with storage_errors(), reading(hub.engine) as conn:
        _check_share(conn, caller, digest, hub.clock(), size)


def is_kept(hub: Hub, caller: Caller, digest: Digest) -> bool:
    """Whether the caller has this part already, whole."""
    with storage_errors(), reading(hub.engine) as conn:
        found = conn.execute(_FIND, {"me": caller.agency, "digest": digest}).one_or_none()
    return found is not None and (bool(found.inline) or hub.blobs.has(digest))


def _receive(hub: Hub, caller: Caller, digest: Digest, source: Readable) -> int:
    """Read the body into the blob store, outside any transaction: it may take minutes."""
    give_up_expired(hub, caller)
    check_room(hub, caller, digest, size=1)
    return hub.blobs.put(digest, source, limit=MAX_BYTES)


def _register(unit: Unit, caller: Caller, digest: Digest, size: int) -> Answer:
    found = unit.conn.execute(_FIND, {"me": caller.agency, "digest": digest}).one_or_none()
    if found is not None and (found.eid is not None or found.inline):
        return _answer(digest, size, None, status=200)
    _check_share(unit.conn, caller, digest, unit.now, size)
    expires = unit.now + UNUSED_FOR
    kept = insert(part).values(
        agency=caller.agency, sha256=digest, bytes=size, expires=int(expires.timestamp())
    )
    unit.conn.execute(
        kept.on_conflict_do_update(
            index_elements=[part.c.agency, part.c.sha256],
            set_={"expires": kept.excluded.expires},
            where=part.c.eid.is_(None),
        )
    )
    return _answer(digest, size, expires, status=201 if found is None else 200)


def _answer(digest: Digest, size: int, expires: datetime | None, status: int) -> Answer:
    body: dict[str, JsonValue] = {
        "sha256": digest,
        "bytes": size,
        "expires_at": None if expires is None else format_time(expires),
    }
    return Answer(body=body, trace=Trace(act=Act.PART_UPLOAD), status=status)


def _check_share(conn: Connection, caller: Caller, digest: str, now: datetime, size: int) -> None:
    values = {"me": caller.agency, "digest": digest, "now": int(now.timestamp())}
    unused = int(conn.execute(_UNUSED, values).scalar_one())
    if unused + size > UNUSED_BYTES:
        raise StorageFull(
            f"the parts that this agency uploaded and did not use are over {UNUSED_BYTES} bytes",
            rule="unused-parts",
            hint="deposit the envelopes they belong to, or wait until the parts expire",
        )


# -- giving up what was not used in time ---------------------------------------------------------------


def give_up_expired(hub: Hub, caller: Caller) -> None:
    """Delete some of the caller's expired parts: rows first, bytes only after the commit."""
    now = {"me": caller.agency, "now": int(hub.clock().timestamp())}
    with storage_errors():
        with reading(hub.engine) as conn:
            expired = conn.execute(_EXPIRED, now).scalars().all()
        if not expired:
            return
        with writing(hub.engine) as conn:
            conn.execute(_GIVE_UP, [{**now, "digest": digest} for digest in expired])
    for digest in expired:
        _drop_unclaimed(hub, Digest(digest))


def _drop_unclaimed(hub: Hub, digest: Digest) -> None:
    """Delete the bytes that no row stands for. A deposit checks that what it uses is there."""
    if not stands(hub, digest):
        hub.blobs.delete(digest)


def stands(hub: Hub, digest: Digest) -> bool:
    """Whether anybody's row stands for these bytes in the blob store."""
    with storage_errors(), reading(hub.engine) as conn:
        return conn.execute(_STANDS, {"digest": digest}).first() is not None
