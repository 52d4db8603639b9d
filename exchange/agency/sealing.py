"""From a plan to sealed bytes: recipients' present keys, the next places in the chains, one envelope.

Plaintext of a photo never touches the disk and is never whole in memory: it goes from the encrypted store
into the seal. Nothing is sent here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from exchange.agency import consent_rows
from exchange.agency.chains import NO_HEADS, Head, Heads
from exchange.agency.consent_rows import OWN
from exchange.agency.links import Links
from exchange.agency.parties import active_agency
from exchange.agency.plan import Plan, PlannedGrant
from exchange.agency.records import PHOTOS
from exchange.agency.spool import Job, SpooledGrant
from exchange.directory.state import ENC
from exchange.member import stored_files
from exchange.member.session import Session
from exchange.member.stored_files import StoredFile
from exchange_keys.envelope import EnvelopeDraft, Recipient, SealedEnvelope, seal_envelope
from exchange_schemas import message, record
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import JsonValue, b64u, encode
from exchange_schemas.envelope import GrantCore
from exchange_schemas.errors import KeyNotActive, RecordUnknown, TooLarge
from exchange_schemas.ids import AgencyId, EnvelopeId, Kid, ThreadId, new_id
from exchange_schemas.limits import LIMITS


@dataclass(frozen=True, slots=True)
class SealedJob:
    """A job and the bytes of its deposit."""

    job: Job
    deposit: bytes


def seal(
    session: Session, plan: Plan, *, job: str | None = None, ahead: Mapping[AgencyId, Head] = NO_HEADS
) -> SealedJob:
    """Seal a plan for the next places in its chains; `ahead` are heads of envelopes that go before it.

    Raises: KeyNotActive (a recipient has no key to seal to), RecipientDenied, TooLarge, StorageFull.
    """
    now = session.now().replace(microsecond=0)
    heads = Heads(session.store, ahead)
    eid = EnvelopeId(new_id(session.random))
    sealed = seal_envelope(
        _draft(session, plan, eid, now),
        [_recipient(session, one, now, heads) for one in plan.grants],
        _self_recipient(session, plan, now, heads),
        session.keys.envelope[-1],
        spool=session.home.spool,
        random=session.random,
    )
    ident = new_id(session.random) if job is None else job
    grants = tuple(
        SpooledGrant(one.gid, one.rcp, one.seq, one.digest, GrantCore.from_bytes(one.core).rcp_kid)
        for one in sealed.grants
    )
    attachments = {digest: path.name for digest, path in sealed.attachments.items()}
    return SealedJob(Job(ident, eid, plan, grants, attachments, now), deposit_of(sealed))


def _draft(session: Session, plan: Plan, eid: EnvelopeId, now: datetime) -> EnvelopeDraft:
    photo = _photo(session, plan)
    return EnvelopeDraft(
        origin=session.profile.deployment.origin,
        eid=eid,
        kind=plan.kind,
        sender=session.profile.agency,
        purpose=plan.grants[0].purpose,
        issued_at=now,
        expires_at=max(one.expires for one in plan.grants),
        directory=session.directory.position(),
        values={name: encoded(name, value) for name, value in plan.values.items() if name != "photo"},
        attachments={} if photo is None else {"photo": photo},
        reply_by=plan.reply_by,
        in_reply_to=plan.in_reply_to,
        supersedes=plan.supersedes,
    )


def encoded(name: str, value: JsonValue) -> bytes:
    """The plaintext of one record or message field."""
    if name in load_catalogue().message_fields:
        return message.encode_field(name, value)
    return record.encode_field(name, value)


def _recipient(session: Session, one: PlannedGrant, now: datetime, heads: Heads) -> Recipient:
    head = heads.of(one.agency)
    kid, raw = sealing_key(session, one.agency, now)
    return Recipient(
        agency=one.agency,
        kid=kid,
        enc_public_raw=raw,
        thread=one.thread,
        seq=head.seq + 1,
        prev=head.digest,
        fields=one.fields,
        consent_digest=one.consent_digest,
        subj=one.subj,
        values={name: encoded(name, value) for name, value in one.own.items()},
        purpose=one.purpose,
        expires_at=one.expires,
    )


def _self_recipient(session: Session, plan: Plan, now: datetime, heads: Heads) -> Recipient:
    """The sender's own grant: all shared parts, and the references by which it knows the child itself."""
    me = session.profile.agency
    head = heads.of(me)
    kid, raw = sealing_key(session, me, now)
    own: dict[str, JsonValue] = {}
    for one in plan.grants:
        own |= one.own
    if plan.record is not None and "child_ref" in own:
        own["child_ref"] = Links(session.store, session.random).child_ref(plan.record, me)
    return Recipient(
        agency=me,
        kid=kid,
        enc_public_raw=raw,
        thread=ThreadId(new_id(session.random)),
        seq=head.seq + 1,
        prev=head.digest,
        values={name: encoded(name, value) for name, value in own.items()},
        expires_at=_own_end(session, plan),
    )


def _own_end(session: Session, plan: Plan) -> datetime:
    """Our own grant lasts as long as the consents: from it a recipient that lost its store is given again."""
    ends = [one.expires for one in plan.grants]
    if load_catalogue().kind(plan.kind).authority == "consent":
        rows = (consent_rows.get(session.store, OWN, one.cid) for one in plan.grants if one.cid is not None)
        ends += [row.consent.exp for row in rows if row is not None]
    return max(ends)


def sealing_key(session: Session, agency: AgencyId, now: datetime) -> tuple[Kid, bytes]:
    """The agency's newest key that may be sealed to now. Raises: KeyNotActive, RecipientDenied."""
    active = active_agency(session.directory.state(), agency).active_keys(ENC, now)
    if not active:
        raise KeyNotActive(
            f"{agency} has no key that anything could be sealed to",
            field="rcp_kid",
            hint="ask that agency to log a new key, then run `exchange-agency directory sync`",
        )
    return active[0].kid, active[0].public.raw


def deposit_of(sealed: SealedEnvelope) -> bytes:
    """The bytes to deposit. Raises: TooLarge."""
    body = encode(
        {
            "manifest": sealed.manifest.to_json(),
            "grants": [{"core": b64u(one.core), "sealed": b64u(one.sealed)} for one in sealed.grants],
            "parts": [{"sha256": digest, "ct": b64u(ct)} for digest, ct in sealed.parts.items()],
        },
        depth=16,
    )
    if len(body) > LIMITS.request_body_bytes:
        raise TooLarge(
            f"the envelope has {len(body)} bytes; the limit is {LIMITS.request_body_bytes}",
            hint="send to fewer recipients at once",
        )
    return body


def _photo(session: Session, plan: Plan) -> StoredFile | None:
    """The record's photo, sealed straight from the encrypted store. Raises: RecordUnknown."""
    if plan.record is None or not any("photo" in one.fields for one in plan.grants):
        return None
    photo = stored_files.find(session.store, PHOTOS, plan.record)
    if photo is None:
        raise RecordUnknown("the record has no photo any more", field="photo")
    return photo
