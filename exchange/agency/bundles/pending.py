"""What an office without network has for the hub, as the very requests that its program makes online.

In the order in which they may be done: withdrawals first, so that none is overtaken by what it ends; then
consents, what rests on them, receipts, and notes of printed cards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from exchange.agency import consent_rows, printed
from exchange.agency.consent_rows import ACTIVE, OWN, WITHDRAWN, Granted
from exchange.agency.printing import note_of
from exchange.agency.receiving import Receiver
from exchange.agency.spool import Job, Spool
from exchange.member.session import Session
from exchange.member.transport import request_body
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import Encodable

JSON, BYTES = "application/json", "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Pending:
    """One request; a `Path` is the file of a long body."""

    method: str
    path: str
    body: bytes | Path
    media: str = JSON


def pending(session: Session, spool: Spool, receiver: Receiver) -> Iterator[Pending]:
    """Everything that the hub has not confirmed. Nothing that was withdrawn here is among it."""
    for row in withdrawn_unconfirmed(session):
        if row.withdrawal is not None:
            body: Mapping[str, Encodable] = {"withdrawal": row.withdrawal.to_json()}
            yield _post(f"/v1/consents/{row.consent.cid}/withdrawal", body)
    for row in unregistered(session):
        yield _post("/v1/consents", {"consent": row.signed.to_json()})
    for job in spool.each():
        if not fallen(session, job):
            for digest, name in job.attachments.items():
                yield Pending("PUT", f"/v1/parts/{digest}", spool.attachment(name), BYTES)
            yield Pending("POST", "/v1/envelopes", spool.deposit(job))
    for gid, receipt in receiver.unsent():
        yield _post(f"/v1/grants/{gid}/receipt", {"receipt": receipt})
    for one in printed.due(session.store):
        yield _post("/v1/disclosures", note_of(one))


def withdrawn_unconfirmed(session: Session) -> list[Granted]:
    """One consent of each withdrawn family whose withdrawal the hub has not confirmed."""
    families: dict[str, list[Granted]] = {}
    for row in consent_rows.each(session.store, OWN):
        if row.status == WITHDRAWN:
            families.setdefault(row.consent.family, []).append(row)
    return [
        next((row for row in reversed(rows) if row.registered), rows[-1])
        for rows in families.values()
        if not any("withdrawn" in row.logged for row in rows)
    ]


def unregistered(session: Session) -> list[Granted]:
    """Consents in force that the hub has not confirmed."""
    return [
        row for row in consent_rows.each(session.store, OWN) if not row.registered and row.status == ACTIVE
    ]


def fallen(session: Session, job: Job) -> bool:
    """Whether a consent of the envelope was withdrawn while it waited: it must never leave."""
    for one in job.plan.grants:
        row = None if one.cid is None else consent_rows.get(session.store, OWN, one.cid)
        if row is not None and row.status == WITHDRAWN and _rests_on_it(job):
            return True
    return False


def _rests_on_it(job: Job) -> bool:
    return load_catalogue().kind(job.plan.kind).authority == "consent"


def _post(path: str, body: Mapping[str, Encodable]) -> Pending:
    return Pending("POST", path, request_body(body))
