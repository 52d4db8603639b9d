"""A small world for the tests of messages: agencies with real keys, signed consents, sealed envelopes."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from exchange.hub.db import reading
from exchange.hub.models.log import log_entry
from exchange.hub.services import audit_read, consents, deposit, grants, recipient_receipts, withdrawals
from exchange.hub.services.hub import utc_now
from exchange.hub.services.ranges import WHOLE, Asked
from exchange.hub.services.release import Released
from exchange_keys.envelope import (
    EnvelopeDraft,
    Recipient,
    SealedEnvelope,
    seal_envelope,
)
from exchange_keys.jws import Signed, sign
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import b64u, sha256
from exchange_schemas.consent import Authority, Consent, ConsentRecord, Screening, Withdrawal
from exchange_schemas.entry import Entry
from exchange_schemas.envelope import NO_PREVIOUS
from exchange_schemas.ids import (
    ConsentId,
    Digest,
    EnvelopeId,
    FamilyId,
    GrantId,
    PartId,
    ThreadId,
    new_id,
)
from exchange_schemas.receipt import RecipientReceipt
from tests.integration.messages.agencies import Agency
from tests.integration.messages.directories import EVIDENCE, ORIGIN, Directory
from tests.integration.messages.edits import body_of, core_of, grant_of

FOUND = ("child_ref", "name_given", "sex", "age_range", "current_area")
"""The fields of a found_notice; child_ref is sealed for each recipient."""
TWELVE = (*FOUND, "name_family", "languages", "marks", "build", "found_with", "last_seen", "urgent_flags")
REFERRAL = ("sex", "age_range", "service_code", "urgency", "contact_point", "current_facility")
"""The fields of a service_referral with the facility, which only one recipient may learn."""
REFERRED = ("age_range", "current_facility", "sex")


@dataclass(frozen=True)
class GivenConsent:
    """A consent as the issuer has it."""

    consent: Consent
    signed: Signed

    @property
    def digest(self) -> Digest:
        return Digest(b64u(sha256(self.signed.payload)))

    @property
    def body(self) -> dict[str, Any]:
        return dict(self.signed.to_json())


@dataclass
class MovingClock:
    """The machine's clock and a shift that a test may change."""

    shift: timedelta = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.shift


@dataclass
class World(Directory):
    """A hub with agencies in its directory, and what they do there."""

    # -- consents --------------------------------------------------------------------------------------

    def draft_consent(self, iss: Agency, rcp: Agency, **changes: Any) -> Consent:
        values: dict[str, Any] = {
            "origin": ORIGIN,
            "cid": ConsentId(new_id(os.urandom)),
            "family": FamilyId(new_id(os.urandom)),
            "iss": iss.id,
            "rcp": rcp.id,
            "pur": ("trace",),
            "fields": tuple(sorted(FOUND)),
            "authorities": (
                Authority(about="child", basis="best_interests_decision", evidence_digest=EVIDENCE),
            ),
            "screening": Screening(state="cleared", evidence_digest=EVIDENCE),
            "nbf": self.now - timedelta(minutes=1),
            "exp": self.now + timedelta(days=60),
            "retention_days": 90,
            "subj": Digest(b64u(os.urandom(32))),
            "iat": self.now,
            "record": ConsentRecord(schema_version="27560:2023"),
        }
        return Consent(**(values | changes))

    def sign_consent(self, item: Consent, *signers: SigningKey) -> GivenConsent:
        keys = signers or (self.agencies[item.iss].approver,)
        return GivenConsent(item, sign(item.to_bytes(), "hx-consent", list(keys)))

    def register(self, given: GivenConsent, caller: Agency | None = None) -> Released:
        who = self.agencies[given.consent.iss] if caller is None else caller
        return consents.register(self.hub, self.caller(who), given.body)

    def consent(self, iss: Agency, rcp: Agency, **changes: Any) -> GivenConsent:
        """A registered consent."""
        given = self.sign_consent(self.draft_consent(iss, rcp, **changes))
        self.register(given)
        return given

    def supersede(self, given: GivenConsent, **changes: Any) -> GivenConsent:
        """A registered newer consent of the same family."""
        newer = replace(
            given.consent,
            cid=ConsentId(new_id(os.urandom)),
            supersedes=given.consent.cid,
            **changes,
        )
        signed = self.sign_consent(newer)
        self.register(signed)
        return signed

    def sign_withdrawal(self, given: GivenConsent, *signers: SigningKey, **changes: Any) -> Signed:
        values: dict[str, Any] = {
            "origin": ORIGIN,
            "iss": given.consent.iss,
            "family": given.consent.family,
            "reason": "consent_withdrawn",
            "iat": self.now,
        }
        item = Withdrawal(**(values | changes))
        keys = signers or (self.agencies[given.consent.iss].approver,)
        return sign(item.to_bytes(), "hx-withdrawal", list(keys))

    def withdraw(self, given: GivenConsent, *signers: SigningKey) -> Released:
        body = self.sign_withdrawal(given, *signers).to_json()
        caller = self.caller(self.agencies[given.consent.iss])
        return withdrawals.withdraw(self.hub, caller, given.consent.cid, body)

    # -- envelopes -------------------------------------------------------------------------------------

    def recipient(self, snd: Agency, rcp: Agency, given: GivenConsent | None, **changes: Any) -> Recipient:
        seq, prev = snd.heads.get(rcp.id, (0, NO_PREVIOUS))
        values: dict[str, Any] = {
            "agency": rcp.id,
            "kid": rcp.enc.public.kid,
            "enc_public_raw": rcp.enc.public.raw,
            "thread": ThreadId(new_id(os.urandom)),
            "seq": seq + 1,
            "prev": prev,
            "fields": FOUND,
            "values": {"child_ref": b'{"v":"ref"}'},
        }
        if given is not None:
            values |= {"consent_digest": given.digest, "subj": given.consent.subj}
        return Recipient(**(values | changes))

    def draft(self, snd: Agency, fields: Sequence[str] = FOUND, **changes: Any) -> EnvelopeDraft:
        values: dict[str, Any] = {
            "origin": ORIGIN,
            "eid": EnvelopeId(new_id(os.urandom)),
            "kind": "found_notice",
            "sender": snd.id,
            "purpose": "trace",
            "issued_at": self.now,
            "expires_at": self.now + timedelta(days=30),
            "directory": self.position,
            "values": {name: b'{"v":"x"}' for name in fields if name != "child_ref"},
        }
        return EnvelopeDraft(**(values | changes))

    def seal(
        self,
        snd: Agency,
        recipients: Sequence[Recipient],
        draft: EnvelopeDraft | None = None,
        *,
        signer: SigningKey | None = None,
        own: Mapping[str, Any] | None = None,
        spool: Path | None = None,
    ) -> SealedEnvelope:
        """A sealed envelope with the sender's grant for itself."""
        drafted = self.draft(snd) if draft is None else draft
        me = self.recipient(snd, snd, None, **({"fields": ()} | dict(own or {})))
        if "child_ref" not in {name for item in recipients for name in item.fields}:
            me = replace(me, values={})
        key = snd.envelope if signer is None else signer
        return seal_envelope(drafted, recipients, me, key, spool=spool)

    def deposit(self, snd: Agency, sealed: SealedEnvelope, body: dict[str, Any] | None = None) -> Released:
        """Deposit, and remember the new heads."""
        sent = body_of(sealed) if body is None else body
        released = deposit.deposit(self.hub, self.caller(snd), sent)
        for item in sealed.grants:
            snd.heads[item.rcp] = (item.seq, item.digest)
        return released

    def send(self, snd: Agency, *given: GivenConsent, **changes: Any) -> SealedEnvelope:
        """A deposited found_notice, one grant for each consent."""
        recipients = [self.recipient(snd, self.agencies[item.consent.rcp], item, **changes) for item in given]
        sealed = self.seal(snd, recipients)
        self.deposit(snd, sealed)
        return sealed

    def confirmations(
        self, one: Agency, other: Agency, *, answered: bool = True, thread: ThreadId | None = None
    ) -> tuple[tuple[EnvelopeId, EnvelopeId], ThreadId]:
        """Both sides' match_confirmation in one thread, the second in answer to the first."""
        names = ("candidate_ref", "match_level", "match_decision", "statement_digest")
        thread = thread or ThreadId(new_id(os.urandom))
        eids: list[EnvelopeId] = []
        for snd, rcp in ((one, other), (other, one)):
            given = self.consent(snd, rcp, pur=("verify",), fields=())
            reply = eids[0] if eids and answered else None
            draft = self.draft(snd, names, kind="match_confirmation", purpose="verify", in_reply_to=reply)
            recipient = self.recipient(snd, rcp, given, fields=names, values={}, thread=thread)
            self.deposit(snd, self.seal(snd, [recipient], draft))
            eids.append(draft.eid)
        return (eids[0], eids[1]), thread

    # -- the recipient ---------------------------------------------------------------------------------

    def fetch(self, rcp: Agency, gid: GrantId) -> Released:
        return grants.fetch(self.hub, self.caller(rcp), gid)

    def fetch_part(self, rcp: Agency, gid: GrantId, p: PartId, asked: Asked = WHOLE) -> bytes:
        _, pieces = grants.fetch_part(self.hub, self.caller(rcp), gid, p, asked)
        length, data = pieces.length, b"".join(pieces)
        assert len(data) == length
        return data

    def sign_receipt(self, sealed: SealedEnvelope, rcp: Agency, /, **changes: Any) -> Signed:
        item = grant_of(sealed, rcp)
        values: dict[str, Any] = {
            "origin": ORIGIN,
            "gid": item.gid,
            "grant": item.digest,
            "snd": core_of(item.core).snd,
            "rcp": rcp.id,
            "outcome": "opened",
            "iat": self.now,
        }
        receipt = RecipientReceipt(**(values | changes))
        return sign(receipt.to_bytes(), "hx-receipt", [rcp.envelope])

    def submit(self, rcp: Agency, gid: GrantId, signed: Signed) -> Released:
        return recipient_receipts.submit(self.hub, self.caller(rcp), gid, signed.to_json())

    # -- looking ---------------------------------------------------------------------------------------

    def entries(self, after: int = 0) -> list[Entry]:
        """The audit log from its entry number `after` on."""
        with reading(self.hub.engine) as conn:
            rows = conn.execute(
                select(log_entry.c.entry).where(log_entry.c.idx >= after).order_by(log_entry.c.idx)
            ).scalars()
            return [Entry.from_bytes(row) for row in rows]

    def log_size(self) -> int:
        with reading(self.hub.engine) as conn:
            return audit_read.size(conn)

    def last(self) -> Entry:
        """The last entry of the audit log."""
        return self.entries(self.log_size() - 1)[0]

    def rows(self, table: Any) -> list[Any]:
        """The rows of this world's own agencies: other tests may share the hub."""
        owner = next(table.c[name] for name in ("snd", "iss", "agency") if name in table.c)
        mine = [agency.id for agency in self.agencies.values()]
        with reading(self.hub.engine) as conn:
            return list(conn.execute(select(table).where(owner.in_(mine))))

    def count(self, table: Any) -> int:
        return len(self.rows(table))
