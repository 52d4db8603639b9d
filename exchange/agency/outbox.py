"""The outbox: what became of what was sent, with the recipients' receipts verified."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from exchange.agency import sent_rows
from exchange.agency.listings import pages
from exchange.agency.model import OutboxItem
from exchange.agency.signatures import signers_of
from exchange.directory.state import ENVELOPE
from exchange.member.session import Session
from exchange.member.store import Store
from exchange_keys.jws import Signed
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import KeyNotActive, KeyRevoked, Malformed, ManifestMismatch
from exchange_schemas.ids import AgencyId, EnvelopeId, GrantId, ThreadId, check_agency, check_id, check_kid
from exchange_schemas.receipt import RecipientReceipt

_RECEIPTS = "sent_receipt"
_STATES = "sent_state"
LOST = "lost"
"""A grant that the hub took, as its receipt proves, and does not know any more: it is to be sent again."""
UNFETCHED = frozenset({"waiting", "dead"})
"""States of a grant, by the hub's word, that its recipient has never fetched; dead: and never will."""


def outbox(session: Session) -> Iterator[OutboxItem]:
    """Every grant to another agency, oldest first; then those that the hub took and lists no more (`LOST`).

    A receipt that does not verify is an error.
    Raises: SigInvalid, KeyWrongUse, ManifestMismatch, HubUnreachable.
    """
    began, seen = session.now(), set[GrantId]()
    for item in listed(session):
        seen.add(item.gid)
        if item.recipient != session.profile.agency:
            yield item
    if session.carried is None:
        # A courier brings an office without network only what it asked for.
        yield from _lost(session, seen, began)


def _lost(session: Session, seen: Collection[GrantId], began: datetime) -> Iterator[OutboxItem]:
    """What may still be fetched by its date, was never answered, and is not at the hub: it was put back."""
    for row in sent_rows.each(session.store):
        standing = row.sent_at < began and row.expires is not None and began < row.expires
        if standing and row.gid not in seen and session.store.get(_RECEIPTS, row.gid) is None:
            yield OutboxItem(
                gid=row.gid,
                eid=row.eid,
                kind=row.kind,
                recipient=row.recipient,
                thread=row.thread,
                seq=row.seq,
                state=LOST,
                outcome=None,
                outcome_code=None,
                kid=row.kid,
            )


def listed(session: Session) -> Iterator[OutboxItem]:
    """As `outbox`, with this agency's grants for itself."""
    for page in pages(session.hub, "/v1/outbox"):
        for value in page.items:
            yield _item(session, value)


def _item(session: Session, value: JsonValue) -> OutboxItem:
    if not isinstance(value, dict):
        raise Malformed("items: an object is needed", field="items")
    seq = value.get("seq")
    if isinstance(seq, bool) or not isinstance(seq, int):
        raise Malformed("items: seq must be a number", field="seq")
    gid = GrantId(check_id(value.get("gid"), field="gid"))
    recipient = AgencyId(check_agency(value.get("rcp"), field="rcp"))
    receipt, unproved = None, None
    if value.get("receipt") is not None:
        try:
            receipt = _receipt(session, value["receipt"], gid, recipient, value.get("digest"))
            _keep(session, gid, value["receipt"])
        except (KeyRevoked, KeyNotActive) as error:
            # It was good when it came; its key was revoked since. One such receipt must not hide the others.
            unproved = error.code
    state = str(value.get("state"))
    _note(session.store, gid, state)
    return OutboxItem(
        gid=gid,
        eid=EnvelopeId(check_id(value.get("eid"), field="eid")),
        kind=str(value.get("kind")),
        recipient=recipient,
        thread=ThreadId(check_id(value.get("thread"), field="thread")),
        seq=seq,
        state=state,
        outcome=None if receipt is None else receipt.outcome,
        outcome_code=unproved if receipt is None else receipt.code,
        kid=None if value.get("rcp_kid") is None else check_kid(value["rcp_kid"], field="rcp_kid"),
    )


def _keep(session: Session, gid: GrantId, receipt: JsonValue) -> None:
    """Keep a verified receipt: it proves who opened what after the hub has forgotten the grant."""
    if session.store.get(_RECEIPTS, gid) is None:
        session.store.put(_RECEIPTS, gid, {"receipt": receipt})


def _note(store: Store, gid: GrantId, state: str) -> None:
    """Keep what the hub said of a grant, so that a report can tell what was sent from what was fetched."""
    kept = store.get(_STATES, gid)
    if kept is None or kept["state"] != state:
        store.put(_STATES, gid, {"state": state})


def state_of(store: Store, gid: str) -> str | None:
    """What the hub last said of a grant of ours: waiting, fetched, receipted or dead; None: never asked."""
    kept = store.get(_STATES, gid)
    return None if kept is None else str(kept["state"])


def unreceipted(store: Store, *, most: int) -> list[str]:
    """The newest grants of ours whose recipient's receipt was not seen here."""
    sent: list[str] = [row.gid for row in sent_rows.each(store)]
    return [gid for gid in sent if store.get(_RECEIPTS, gid) is None][-most:]


def receipt_of(session: Session, gid: str) -> RecipientReceipt | None:
    """The recipient's signed receipt for a grant of ours, as far as one was seen here."""
    kept = session.store.get(_RECEIPTS, gid)
    if kept is None:
        return None
    return RecipientReceipt.from_bytes(Signed.from_json(kept["receipt"], RecipientReceipt.LIMIT).payload)


def _receipt(
    session: Session, value: JsonValue, gid: GrantId, recipient: AgencyId, digest: JsonValue
) -> RecipientReceipt:
    """The recipient's receipt: its signature, and that it is for this very grant."""
    signed = Signed.from_json(value, RecipientReceipt.LIMIT)
    receipt = RecipientReceipt.from_bytes(signed.payload)
    if (receipt.gid, receipt.rcp, receipt.grant) != (gid, recipient, digest):
        raise ManifestMismatch("receipt: it is for another grant", field="receipt")
    signers_of(
        session.directory.state(),
        signed,
        RecipientReceipt.typ,
        agency=recipient,
        use=ENVELOPE,
        signed_at=receipt.iat,
        now=session.now(),
    )
    return receipt
