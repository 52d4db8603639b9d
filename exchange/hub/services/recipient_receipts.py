"""Recipients' receipts: what became of a grant, signed by its recipient, kept as it came for the sender.

A grant goes from fetched to receipted once; a second, different outcome is refused. Nothing here may take a
receipt for a grant that was not given out, or from anybody but its recipient.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, select, update

from exchange.hub.models.envelopes import grant
from exchange.hub.services.directory_read import key_of
from exchange.hub.services.release import Answer, Caller, Released, Trace, release
from exchange_keys.jws import Signed, verify
from exchange_schemas.codec import JsonValue
from exchange_schemas.entry import Act
from exchange_schemas.errors import Conflict, ManifestMismatch, NotFound, Replay, SenderMismatch
from exchange_schemas.ids import GrantId
from exchange_schemas.limits import LIMITS
from exchange_schemas.receipt import RecipientReceipt

if TYPE_CHECKING:
    from exchange.hub.services.hub import Hub
    from exchange.hub.services.unit import Unit

_OWN: Final = (grant.c.gid == bindparam("of_gid"), grant.c.rcp == bindparam("me"))
_FIND: Final = (
    select(
        grant.c.snd,
        grant.c.eid,
        grant.c.kind,
        grant.c.family,
        grant.c.digest,
        grant.c.state,
        grant.c.receipt,
        grant.c.receipt_entry,
    )
    .where(*_OWN)
    .with_for_update()
)
_KEEP: Final = (
    update(grant)
    .where(*_OWN, grant.c.state == "fetched")
    .values(state="receipted", receipt=bindparam("jws"), receipt_entry=bindparam("entry"))
)


def submit(hub: Hub, caller: Caller, gid: GrantId, body: JsonValue) -> Released:
    """Keep the caller's signed receipt for a grant that it fetched; again, it gives the first answer.

    Raises: Malformed, SenderMismatch, NotFound, ManifestMismatch, Replay, Conflict, OriginMismatch, key
    errors, SigInvalid.
    """
    # (1) strict parse
    signed = Signed.from_json(body, LIMITS.receipt_bytes)
    item = RecipientReceipt.from_bytes(signed.payload)
    trace = Trace(act=Act.RECEIPT_SUBMIT)
    return release(hub, caller, trace, lambda unit: _submit(unit, caller, gid, signed, item))


def _submit(unit: Unit, caller: Caller, gid: GrantId, signed: Signed, item: RecipientReceipt) -> Answer:
    # (2) the caller is the recipient
    if item.rcp != caller.agency:
        raise SenderMismatch("rcp: only the recipient gives a receipt", field="rcp")
    # (3) of this very grant, which is the caller's
    key = {"me": caller.agency, "of_gid": gid}
    row = unit.conn.execute(_FIND, key).one_or_none()
    if row is None:
        raise NotFound("there is no such grant")
    if (item.gid, item.snd, item.grant) != (gid, row.snd, row.digest):
        raise ManifestMismatch("grant: the receipt is for another grant", field="grant")
    trace = Trace(act=Act.RECEIPT_SUBMIT, own=(row.snd,), knd=row.kind, family=row.family, eid=row.eid)
    # (4) idempotency
    if row.receipt is not None:
        if Signed.from_bytes(row.receipt, LIMITS.receipt_bytes).payload != signed.payload:
            raise Replay("receipt: the grant has another one already", field="receipt")
        return Answer(body={}, trace=trace, receipt_of=row.receipt_entry)
    # (5) what was given out
    if row.state != "fetched":
        raise Conflict("the grant was not fetched, so there is nothing to confirm", rule="not-fetched")
    # (6) signed by an active envelope key of the recipient
    verify(
        signed,
        RecipientReceipt.typ,
        origin=unit.hub.settings.origin,
        key_for=lambda kid: key_of(unit.conn, kid, use="envelope", agency=caller.agency, now=unit.now),
    )
    # (7) the row, held since (3)
    unit.conn.execute(_KEEP, {**key, "jws": signed.to_bytes(), "entry": unit.entry_id})
    return Answer(body={}, trace=trace)
