"""Granting again: what a recipient can no longer open is sealed to its new key, from our own grant alone.

When a recipient revokes an enc key, the hub serves no grant that was sealed to it. Our next synchronisation
grants those that nobody has opened again: the same parts, under the same consent, in a supplementary manifest
of the same envelope. Nothing is read from the record but the references that the recipient knows; nothing is
granted that the consent does not still allow, and nothing twice: what the hub shows decides.
Our own grant is believed only by its digest, which was kept when it was made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime

from exchange.agency import consent_rows, sent_rows
from exchange.agency.chains import Head, adopt_head, head_out, move_head, verified_head
from exchange.agency.consent_rows import OWN, RECEIVED, Granted
from exchange.agency.fetched import read_fetched
from exchange.agency.links import Links, own_values
from exchange.agency.model import UNOPENED, OutboxItem
from exchange.agency.outbox import listed
from exchange.agency.parties import party_of
from exchange.agency.planning import LIFE
from exchange.agency.records import Records
from exchange.agency.sealing import deposit_of, encoded, sealing_key
from exchange.agency.sent_rows import OwnGrant, SentRow
from exchange.agency.withholding import check_withheld
from exchange.directory.state import ENC, KeyStatus
from exchange.member.locks import hold
from exchange.member.session import Session
from exchange_keys.envelope import EnvelopeDraft, Recipient, SealedEnvelope, regrant, unlock_grant
from exchange_keys.grants import UnlockedGrant, grant_digest
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import JsonValue
from exchange_schemas.envelope import GrantCore
from exchange_schemas.errors import (
    ConsentWithdrawn,
    ExchangeError,
    HubRefused,
    HubUnreachable,
    ManifestMismatch,
    PartMissing,
    SeqConflict,
)
from exchange_schemas.ids import AgencyId, GrantId, Kid, ThreadId, check_agency, new_id

ATTEMPTS = 6
_ROW = "regrant"


@dataclass(frozen=True, slots=True)
class Regranted:
    """What a pass did: how many were granted again, and a sentence for each that could not be."""

    granted: int = 0
    failed: tuple[str, ...] = ()


@dataclass(slots=True)
class Regranter:
    """Grants again for one session."""

    session: Session
    records: Records
    _outbox: list[OutboxItem] | None = field(default=None)

    def for_revoked_keys(self) -> Regranted:
        """Grant again what is sealed to keys that others have revoked; only when the directory has grown.

        Raises: HubUnreachable.
        """
        size = self.session.directory.state().size
        done = self.session.store.get(_ROW, "seen")
        if done is not None and done["size"] == size:
            return Regranted()
        rows = [row for kid in self._revoked() for row in sent_rows.found(self.session.store, "kid", kid)]
        found = self.again(rows)
        if not found.failed:
            self.session.store.put(_ROW, "seen", {"size": size})
        return found

    def again(self, rows: Iterable[SentRow]) -> Regranted:
        """Grant these again, where nobody has opened them and they are not over. Raises: HubUnreachable."""
        now, granted, failed = self.session.now(), 0, list[str]()
        for row in rows:
            if row.again is not None or (row.expires is not None and row.expires <= now):
                continue
            try:
                granted += self._once(row)
            except HubUnreachable:
                raise
            except ConsentWithdrawn:
                continue
            except ExchangeError as error:
                failed.append(
                    f"message {row.seq} to {row.recipient} could not be granted again ({error.code})"
                )
        return Regranted(granted, tuple(failed))

    def once_more(self, row: SentRow) -> bool:
        """Grant again a message that was opened and lost since; False when it waits at the hub already.

        Raises: ConsentWithdrawn (also when it is over), RecipientDenied (withheld since), KeyNotActive,
        GrantExpired (our own grant is over: send the record anew), PartMissing, HubUnreachable.
        """
        shown = {item.gid: item for item in self._items()}.get(row.gid)
        if shown is not None and shown.state in UNOPENED and shown.kid not in set(self._revoked()):
            return False
        state = self.session.directory.state()
        check_withheld(self.session.store, row.record, party_of(state, row.recipient))
        consent = self._consent(row)
        expires = self.session.now() + LIFE
        if consent is not None and load_catalogue().kind(row.kind).authority == "consent":
            expires = min(expires, consent.consent.exp)
        self._give(replace(row, expires=expires), self._held(row), consent)
        return True

    def unopened(self) -> list[SentRow]:
        """Every message of ours that the hub says nobody has opened."""
        rows = (
            sent_rows.get(self.session.store, item.gid) for item in self._items() if item.state in UNOPENED
        )
        return [row for row in rows if row is not None]

    def renew_own(self, kids: Iterable[Kid]) -> Regranted:
        """Grant to ourselves again what our own grants under these old keys are still needed for.

        Raises: HubUnreachable.
        """
        old, me = set(kids), self.session.profile.agency
        needed = {item.eid for item in self._items() if item.recipient != me and self._may_be_needed(item)}
        granted, failed = 0, list[str]()
        for eid in sorted(needed):
            rows = sent_rows.found(self.session.store, "eid", eid)
            try:
                granted += self._renew(rows, old)
            except HubUnreachable:
                raise
            except ExchangeError as error:
                failed.append(f"our own grant of envelope {eid} could not be renewed ({error.code})")
        return Regranted(granted, tuple(failed))

    def _may_be_needed(self, item: OutboxItem) -> bool:
        """Nobody has opened it, or its recipient may lose it and ask again while the consent stands."""
        if item.state in UNOPENED:
            return True
        row = sent_rows.get(self.session.store, item.gid)
        if row is None or load_catalogue().kind(row.kind).authority != "consent":
            return False
        try:
            return self._consent(row) is not None
        except ExchangeError:
            return False

    # -- one grant -----------------------------------------------------------------------------------------

    def _once(self, row: SentRow) -> int:
        shown = {item.gid: item for item in self._items()}.get(row.gid)
        if shown is None or shown.state not in UNOPENED:
            self._mark(row, row.gid)
            return 0
        later = self._later(row)
        if later is not None:
            self._mark(row, later)
            return 0
        check_withheld(
            self.session.store, row.record, party_of(self.session.directory.state(), row.recipient)
        )
        held = self._held(row)
        consent = self._consent(row)
        self._give(row, held, consent)
        return 1

    def _give(self, row: SentRow, held: UnlockedGrant, consent: Granted | None) -> None:
        """One more grant of this message to its recipient, at the end of the chain."""
        for _ in range(ATTEMPTS):
            with self._alone():
                sealed = self._sealed(row, held, self._recipient(row, consent))
                if self._deposited(sealed):
                    under = row if consent is None else replace(row, cid=consent.consent.cid)
                    self._arrived(row, under, sealed)
                    return
        raise SeqConflict("other hosts of this agency were always faster", field="seq")

    def _renew(self, rows: list[SentRow], old: set[Kid]) -> int:
        row = next((one for one in rows if one.own is not None), None)
        if row is None:
            raise PartMissing("our own grant of this envelope was not kept", rule="own-grant")
        held = self._held(row)
        if held.core.rcp_kid not in old:
            return 0
        for _ in range(ATTEMPTS):
            with self._alone():
                sealed = self._sealed(row, held, self._itself(row, held))
                if self._deposited(sealed):
                    self._renewed(rows, sealed)
                    return 1
        raise SeqConflict("other hosts of this agency were always faster", field="seq")

    def _renewed(self, rows: list[SentRow], sealed: SealedEnvelope) -> None:
        (grant,), store = sealed.grants, self.session.store
        with store.writing():
            move_head(store, self.session.profile.agency, Head(grant.seq, grant.digest))
            for one in rows:
                sent_rows.put(store, replace(one, own=OwnGrant(grant.gid, grant.digest)))

    def _alone(self) -> AbstractContextManager[None]:
        """The lock of sending: a head that moves between the hub's answer and its reading looks like a
        rolled-back hub."""
        return hold(self.session.home.spool / ".lock", what="sending")

    def _deposited(self, sealed: SealedEnvelope) -> bool:
        """Deposit; False when another host was faster, whose proved head is followed then."""
        try:
            self.session.hub.post_bytes("/v1/envelopes", deposit_of(sealed))
        except SeqConflict as error:
            self._follow(error.detail.get("head"))
            return False
        return True

    def _held(self, row: SentRow) -> UnlockedGrant:
        """Our own grant of the envelope, fetched, proved to be the one that was made, and opened."""
        if row.own is None:
            raise PartMissing("our own grant of this envelope was not kept", rule="own-grant")
        fetched = read_fetched(row.own.gid, self.session.hub.get(f"/v1/grants/{row.own.gid}"))
        if grant_digest(fetched.core, fetched.sealed) != row.own.digest:
            raise ManifestMismatch("the hub shows another grant than our own", rule="own-grant")
        kid = GrantCore.from_bytes(fetched.core).rcp_kid
        return unlock_grant(fetched.core, fetched.sealed, self.session.enc_key(kid))

    def _sealed(self, row: SentRow, held: UnlockedGrant, recipient: Recipient) -> SealedEnvelope:
        now = self.session.now().replace(microsecond=0)
        draft = EnvelopeDraft(
            origin=self.session.profile.deployment.origin,
            eid=row.eid,
            kind=row.kind,
            sender=self.session.profile.agency,
            purpose=row.purpose,
            issued_at=now,
            expires_at=self._expires(row, now),
            directory=self.session.directory.position(),
            values={},
            in_reply_to=row.in_reply_to,
        )
        return regrant(draft, held, [recipient], self.session.keys.envelope[-1], random=self.session.random)

    def _recipient(self, row: SentRow, consent: Granted | None) -> Recipient:
        head = head_out(self.session.store, row.recipient)
        now = self.session.now()
        kid, raw = sealing_key(self.session, row.recipient, now)
        return Recipient(
            agency=row.recipient,
            kid=kid,
            enc_public_raw=raw,
            thread=row.thread,
            seq=head.seq + 1,
            prev=head.digest,
            fields=row.fields,
            consent_digest=None if consent is None else consent.digest,
            subj=None if consent is None else consent.consent.subj,
            values=self._own_values(row, row.fields, row.recipient),
            purpose=row.purpose,
            expires_at=self._expires(row, now),
        )

    def _itself(self, row: SentRow, held: UnlockedGrant) -> Recipient:
        """Ourselves under our new key: every part of the old grant."""
        me = self.session.profile.agency
        head = head_out(self.session.store, me)
        kid, raw = sealing_key(self.session, me, self.session.now())
        names = [ref.f for ref in held.core.parts]
        return Recipient(
            agency=me,
            kid=kid,
            enc_public_raw=raw,
            thread=ThreadId(new_id(self.session.random)),
            seq=head.seq + 1,
            prev=head.digest,
            fields=names,
            values=self._own_values(row, names, me),
        )

    def _own_values(self, row: SentRow, fields: Sequence[str], to: AgencyId) -> Mapping[str, bytes]:
        """What each recipient gets in its own words: the references by which it knows the child."""
        catalogue = load_catalogue()
        names = [n for n in fields if n in catalogue.fields and catalogue.field(n).per_recipient]
        if not names or row.record is None:
            return {}
        links = Links(self.session.store, self.session.random)
        own = own_values(links, names, to, self.records.get(row.record), catalogue)
        return {name: encoded(name, value) for name, value in own.items()}

    def _consent(self, row: SentRow) -> Granted | None:
        """The consent that it rests on or points at; where it was superseded, the newest, if that allows it.

        Raises: ConsentWithdrawn when none stands.
        """
        if row.cid is None:
            return None
        for collection in (OWN, RECEIVED):
            found = consent_rows.get(self.session.store, collection, row.cid)
            if found is None:
                continue
            if load_catalogue().kind(row.kind).authority != "consent":
                return found
            if found.status == consent_rows.SUPERSEDED:
                found = self._newest(row, collection, found)
            if found.status != consent_rows.ACTIVE or found.consent.exp <= self.session.now():
                raise ConsentWithdrawn("the consent does not stand any more", rule="C05-withdrawn")
            return found
        raise PartMissing("the consent of this message is not here", field="cns")

    def _newest(self, row: SentRow, collection: str, old: Granted) -> Granted:
        """The active consent of the family that allows all of the message, else the superseded one."""
        family = consent_rows.found(self.session.store, collection, "family", old.consent.family)
        fields = load_catalogue().record_fields.intersection(row.fields)
        return next(
            (
                one
                for one in family
                if one.status == consent_rows.ACTIVE
                and row.purpose in one.consent.pur
                and fields.issubset(one.consent.fields)
            ),
            old,
        )

    def _expires(self, row: SentRow, now: datetime) -> datetime:
        return (now + LIFE if row.expires is None else row.expires).replace(microsecond=0)

    # -- what the hub shows --------------------------------------------------------------------------------

    def _items(self) -> list[OutboxItem]:
        """The whole outbox, read once for a pass: a revocation is rare, and what was opened must be known."""
        if self._outbox is None:
            self._outbox = list(listed(self.session))
        return self._outbox

    def _later(self, row: SentRow) -> GrantId | None:
        """A grant of the same envelope to the same agency after this one: it was granted again before."""
        revoked = set(self._revoked())
        later = (
            item.gid
            for item in self._items()
            if (item.eid, item.recipient) == (row.eid, row.recipient)
            and item.seq > row.seq
            and item.state != "dead"
            and item.kid not in revoked
        )
        return next(later, None)

    def _revoked(self) -> list[Kid]:
        state, me = self.session.directory.state(), self.session.profile.agency
        return [
            key.kid
            for key in state.every_key()
            if key.use == ENC and key.status is KeyStatus.REVOKED and key.agency != me
        ]

    def _follow(self, heads: JsonValue) -> None:
        if not isinstance(heads, dict) or not heads:
            raise HubRefused("the hub refuses the place in the chain and shows none", field="head")
        session = self.session
        for name, shown in heads.items():
            agency: AgencyId = check_agency(name, field="head")
            me, state = session.profile.agency, session.directory.state()
            adopt_head(session.store, agency, verified_head(state, me, agency, shown, session.now()))

    def _mark(self, row: SentRow, again: GrantId) -> None:
        sent_rows.put(self.session.store, replace(row, again=again))

    def _arrived(self, row: SentRow, under: SentRow, sealed: SealedEnvelope) -> None:
        (grant,) = sealed.grants
        store, kid = self.session.store, GrantCore.from_bytes(grant.core).rcp_kid
        with store.writing():
            move_head(store, row.recipient, Head(grant.seq, grant.digest))
            self._mark(row, grant.gid)
            fresh = replace(under, gid=grant.gid, seq=grant.seq, digest=grant.digest, kid=kid, again=None)
            sent_rows.put(store, replace(fresh, sent_at=self.session.now()))
