"""Gathers a subject report from the local store: what was sent, consents, receipts, prints, log proofs.

It talks to nobody. What the store does not know is said to be unknown, never left out: who opened what is
known from the recipients' signed receipts that `Client.outbox` has seen. The withhold list is never read:
a report may be handed to anybody, and who must never learn of a child stays on this machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from exchange.agency import (
    consent_rows,
    deletion_rows,
    message_rows,
    printed,
    sent_rows,
    timeline,
)
from exchange.agency.consent_rows import OWN, RECEIVED, Granted
from exchange.agency.model import Message
from exchange.agency.outbox import UNFETCHED, receipt_of, state_of
from exchange.agency.records import Records
from exchange.agency.sent_rows import SentRow
from exchange.agency.subject.model import (
    Agreed,
    Answered,
    Ended,
    Given,
    Held,
    Proof,
    Received,
    Recipient,
    SubjectReport,
)
from exchange.member.receipts import StoredReceipt
from exchange.member.session import Session
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import JsonValue, b64u, sha256, unb64u
from exchange_schemas.consent import Consent, Withdrawal
from exchange_schemas.errors import ConfigInvalid, RecordUnknown
from exchange_schemas.ids import AgencyId, ConsentId, Digest, ThreadId, check_id

NONE = "none"


def of_record(session: Session, records: Records, ref: str, *, values: bool = False) -> SubjectReport:
    """The report on a record of this agency; `values`: with the fields as it holds them.

    Raises: RecordUnknown.
    """
    record = records.get(ref)
    rows = sent_rows.found(session.store, "record", record.ref)
    threads = sorted({row.thread for row in rows if row.recipient != session.profile.agency})
    held = Held(
        ref=record.ref,
        source=record.source,
        added=record.added,
        changed=record.changed,
        fields=tuple(sorted(record.fields)),
        history=records.detail(record.ref).history,
        values=dict(record.fields) if values else None,
    )
    own = consent_rows.found(session.store, OWN, "record", record.ref)
    return _report(session, record.ref, rows, threads, held=held, own=own)


def of_thread(session: Session, thread: str) -> SubjectReport:
    """The report on a thread, for an agency that only received. Raises: RecordUnknown, Malformed."""
    checked = ThreadId(check_id(thread, field="thread"))
    rows = sent_rows.found(session.store, "thread", checked)
    if not rows and not message_rows.found(session.store, "thread", checked):
        raise RecordUnknown("there is no such thread here", field="thread")
    return _report(session, checked, rows, [checked])


def _report(
    session: Session,
    subject: str,
    rows: Sequence[SentRow],
    threads: Sequence[ThreadId],
    *,
    held: Held | None = None,
    own: Sequence[Granted] = (),
) -> SubjectReport:
    store, profile = session.store, session.profile
    given = tuple(
        _given(session, row)
        for row in sorted(rows, key=lambda row: row.sent_at)
        if _gave(row, profile.agency)
    )
    messages = [message for thread in threads for message in message_rows.found(store, "thread", thread)]
    received = tuple(_received(session, one) for one in sorted(messages, key=lambda one: one.issued))
    consents = tuple(_agreed(session, row) for row in _consents(session, own, given, messages))
    prints = () if held is None else tuple(printed.of_record(store, held.ref))
    items = [item for thread in threads for item in timeline.of_thread(store, thread, profile.agency)]
    entries = [
        *(one.entry for one in given),
        *(one.entry for one in received),
        *(one.entry for one in prints),
        *(one.entry for one in consents),
        *(one.ended.entry for one in consents if one.ended is not None),
    ]
    return SubjectReport(
        origin=profile.deployment.origin,
        agency=profile.agency,
        agency_name=profile.name,
        made=session.now().replace(microsecond=0),
        made_by=session.user,
        log_key=profile.deployment.audit_vkey,
        subject=subject,
        held=held,
        recipients=tuple(_recipients(session, given, consents)),
        given=given,
        consents=consents,
        printed=prints,
        received=received,
        timeline=tuple(sorted(items, key=lambda item: item.when)),
        proofs=tuple(_proofs(session, entries)),
    )


def _gave(row: SentRow, me: AgencyId) -> bool:
    """Whether a grant gave another agency anything of the record; the rest is in the timeline."""
    return row.recipient != me and any(name in load_catalogue().fields for name in row.fields)


def _given(session: Session, row: SentRow) -> Given:
    known = load_catalogue().fields
    receipt = receipt_of(session, row.gid)
    return Given(
        when=row.sent_at,
        gid=row.gid,
        eid=row.eid,
        to=row.recipient,
        kind=row.kind,
        purpose=row.purpose,
        thread=row.thread,
        fields=tuple(name for name in row.fields if name in known),
        said=tuple(name for name in row.fields if name not in known),
        consent=None if row.cid is None else ConsentId(row.cid),
        expires=row.expires,
        state=state_of(session.store, row.gid),
        outcome=None if receipt is None else receipt.outcome,
        outcome_at=None if receipt is None else receipt.iat,
        outcome_code=None if receipt is None else receipt.code,
        again=row.again,
        entry=row.entry,
    )


def _received(session: Session, one: Message) -> Received:
    evidence = message_rows.evidence(session.store, one.gid)
    return Received(
        when=one.issued,
        gid=one.gid,
        eid=one.eid,
        sender=one.sender,
        kind=one.kind,
        purpose=one.purpose,
        thread=one.thread,
        fields=tuple(sorted(one.fields)),
        consent=one.consent,
        keep_until=one.keep_until,
        entry=None if evidence is None else evidence.entry,
    )


# -- consents ------------------------------------------------------------------------------------------


def _consents(
    session: Session, own: Sequence[Granted], given: Sequence[Given], messages: Sequence[Message]
) -> list[Granted]:
    """Every consent for the record, and those that a message rests on; oldest first, each once."""
    found = {row.consent.cid: row for row in own}
    for cid in [*(one.consent for one in given), *(one.consent for one in messages)]:
        if cid is None or cid in found:
            continue
        for collection in (OWN, RECEIVED):
            row = consent_rows.get(session.store, collection, cid)
            if row is not None:
                found[cid] = row
    return sorted(found.values(), key=lambda row: row.consent.iat)


def _agreed(session: Session, row: Granted) -> Agreed:
    consent = row.consent
    info = row.info(session.now())
    return Agreed(
        cid=consent.cid,
        issuer=consent.iss,
        recipient=consent.rcp,
        own=consent.iss == session.profile.agency,
        status=info.status,
        purposes=consent.pur,
        fields=consent.fields,
        bases={one.about: one.basis for one in consent.authorities},
        screening=consent.screening.state,
        not_before=consent.nbf,
        expires=consent.exp,
        retention_days=consent.retention_days,
        supersedes=consent.supersedes,
        digest=row.digest,
        signers=tuple(one.kid for one in row.signed.signatures),
        ended=_ended(session, row, consent),
        entry=row.logged.get("registered"),
    )


def _ended(session: Session, row: Granted, consent: Consent) -> Ended | None:
    if row.withdrawal is None:
        return None
    withdrawal = Withdrawal.from_bytes(row.withdrawal.payload)
    asked = deletion_rows.asked(session.store, consent.family) if _is_ours(session, consent) else None
    return Ended(
        reason=withdrawal.reason,
        when=withdrawal.iat,
        signers=tuple(one.kid for one in row.withdrawal.signatures),
        deletion=NONE if asked is None else asked.state,
        asked=None if asked is None else asked.since,
        answers=() if asked is None else tuple(_answers(session, asked)),
        entry=row.logged.get("withdrawn"),
    )


def _is_ours(session: Session, consent: Consent) -> bool:
    return consent.iss == session.profile.agency


def _answers(session: Session, asked: deletion_rows.AskedDeletion) -> Iterable[Answered]:
    for eid in sorted(deletion_rows.requests_of(session.store, asked)):
        for message in message_rows.found(session.store, "reply", eid):
            outcome = message.content.get("deletion_outcome")
            evidence = message_rows.evidence(session.store, message.gid)
            if isinstance(outcome, dict) and evidence is not None:
                yield Answered(outcome, message.issued, message.gid, _manifest_digest(evidence.manifest))


def _manifest_digest(manifest: Mapping[str, JsonValue]) -> Digest:
    return Digest(b64u(sha256(unb64u(str(manifest.get("payload")), field="manifest"))))


# -- in short, and the proofs --------------------------------------------------------------------------


def _recipients(session: Session, given: Sequence[Given], consents: Sequence[Agreed]) -> Iterable[Recipient]:
    for agency in dict.fromkeys(one.to for one in given):
        grants = [one for one in given if one.to == agency]
        reached = [one for one in grants if not _unfetched(one)]
        mine = [one for one in consents if one.own and one.recipient == agency]
        name, kind = _named(session, agency)
        yield Recipient(
            agency=agency,
            name=name,
            kind=kind,
            messages=sum(one.again is None for one in grants),
            unfetched=sum(one.again is None and _unfetched(one) for one in grants),
            fields=tuple(sorted({name for one in reached for name in one.fields})),
            first=grants[0].when,
            last=grants[-1].when,
            state=_state(mine),
            deletion=_deletion(mine),
        )


def _unfetched(one: Given) -> bool:
    """A signed receipt says more than the hub."""
    return one.outcome is None and one.state in UNFETCHED


def _state(consents: Sequence[Agreed]) -> str:
    if any(one.status == consent_rows.ACTIVE for one in consents):
        return "allowed"
    return "withdrawn" if any(one.ended is not None for one in consents) else "ended"


def _deletion(consents: Sequence[Agreed]) -> str:
    states = [one.ended.deletion for one in consents if one.ended is not None]
    open_first = (deletion_rows.DUE, deletion_rows.ASKED, deletion_rows.ANSWERED)
    return next((state for state in open_first if state in states), NONE)


def _named(session: Session, agency: AgencyId) -> tuple[str, str]:
    """Its legal name and kind by the own copy of the directory; its id where there is none yet."""
    try:
        found = session.directory.state().agency(agency)
    except ConfigInvalid:
        found = None
    return (agency, "") if found is None else (found.name, found.kind)


def _proofs(session: Session, entries: Iterable[str | None]) -> Iterable[Proof]:
    for ident in dict.fromkeys(entries):
        stored = None if ident is None else session.receipts.get(ident)
        if stored is not None:
            yield _proof(stored)


def _proof(stored: StoredReceipt) -> Proof:
    return Proof(
        id=stored.id,
        act=stored.act,
        outcome=stored.outcome,
        at=stored.at,
        index=stored.index,
        entry=b64u(stored.entry),
        proof=stored.proof,
    )
