"""The inbox and what is opened from it: chains watched, receipts signed, copies kept encrypted.

A grant that passes every check is kept and acknowledged with a signed receipt; one that fails is refused,
and where the failure is in what was sent, the sender gets a signed refusal with its code.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from exchange.agency import brought, consent_rows, deletion_rows, message_rows
from exchange.agency.arrivals import check_arrival, note_arrival
from exchange.agency.attesting import arranges_release
from exchange.agency.chains import gap_before, note_listed, note_proved
from exchange.agency.confirmations import relation_verified
from exchange.agency.consent_rows import RECEIVED, Granted, superseding
from exchange.agency.downloading import OnBytes, sweep
from exchange.agency.fetched import Fetched, read_fetched, tombstone_of
from exchange.agency.listings import pages
from exchange.agency.message_rows import Evidence
from exchange.agency.model import UNOPENED, InboxItem, Message
from exchange.agency.opening import Opened, open_parts
from exchange.agency.verification import Verified, verify
from exchange.agency.withdrawals import bury
from exchange.consent import check_detention
from exchange.member.session import Session
from exchange_keys.grants import grant_digest
from exchange_keys.jws import Signed, sign
from exchange_schemas.codec import JsonValue, b64u, parse_time
from exchange_schemas.consent import Consent
from exchange_schemas.envelope import GrantCore
from exchange_schemas.errors import (
    Conflict,
    ConsentSuperseded,
    ConsentWithdrawn,
    ExchangeError,
    GrantExpired,
    KeyNotActive,
    KeyRevoked,
    KidUnknown,
    LogFork,
    LogStale,
    Malformed,
    ProtocolError,
    Replay,
)
from exchange_schemas.ids import (
    AgencyId,
    Digest,
    EnvelopeId,
    GrantId,
    ThreadId,
    check_agency,
    check_digest,
    check_id,
    check_kid,
)
from exchange_schemas.receipt import RecipientReceipt

_RECEIPTS = "recipient_receipt"
_CURSOR = "cursor"
# Refusals that may pass by themselves, or are no fault of the sender: no signed refusal goes back.
_NOT_THE_SENDERS = (LogStale, LogFork, KidUnknown)
# After these it can never be opened any more.
_OVER = (ConsentWithdrawn, ConsentSuperseded, GrantExpired)


@dataclass(frozen=True, slots=True)
class Receiver:
    """Receives for one session; `on_bytes(what, done, total)` hears of downloads."""

    session: Session
    on_bytes: OnBytes

    def inbox(self, *, waiting_only: bool = False) -> Iterator[InboxItem]:
        """Every grant that the hub lists, oldest first, its place in the sender's chain noted.

        `waiting_only` begins where everything before is done with. Raises: Replay when a number was used for
        another grant before.
        """
        store = self.session.store
        cursor = self.done_up_to() if waiting_only else None
        done = True
        for page in pages(self.session.hub, "/v1/inbox", cursor):
            items = [_item(value) for value in page.items]
            with store.writing():
                same = [note_listed(store, item.sender, item.seq, item.digest) for item in items]
            if not all(same):
                raise Replay(
                    "seq: two different grants bear the same number", field="seq", rule="chain-replay"
                )
            yield from (item for item in items if not waiting_only or item.state in UNOPENED)
            done = done and all(item.state not in UNOPENED for item in items)
            if done and page.more:
                store.put(_CURSOR, "inbox", {"cursor": page.next})

    def done_up_to(self) -> str | None:
        """Where the listing goes on after pages in which nothing waits any more."""
        kept = self.session.store.get(_CURSOR, "inbox")
        return None if kept is None else str(kept["cursor"])

    def open(self, gid: str) -> Message:
        """Fetch, verify, open, keep and acknowledge one grant. Raises: see `Client.open_grant`."""
        checked = GrantId(check_id(gid, field="gid"))
        if deletion_rows.was_deleted(self.session.store, checked):
            raise ConsentWithdrawn(
                "this message was deleted here; it is never fetched again",
                rule="deletion-done",
            )
        sweep(self.session.home.spool, self.session.now())
        fetched = self._fetch(checked)
        self.session.directory.ensure_fresh(size=fetched.directory_size)
        try:
            verified = verify(
                self.session,
                fetched,
                withdrawn=self._known_withdrawn(fetched),
                newest=self._known_newest(fetched),
            )
            with open_parts(self.session, fetched, verified.core, self.on_bytes) as opened:
                self._check_detention(verified.core, opened)
                check_arrival(self.session, verified.core, verified.consent)
                alarms = self._check_chain(verified.core, fetched)
                message = self._keep(fetched, verified, opened, alarms)
        except ProtocolError as error:
            # It may have died while its photo came: that is no fault of what was sent.
            if not self._is_dead(checked, error):
                self._refuse(fetched, error)
            if isinstance(error, _OVER):
                brought.forget(self.session, checked)
            raise
        brought.forget(self.session, checked)
        return self._acknowledged(verified.core, fetched, message)

    def _acknowledged(self, core: GrantCore, fetched: Fetched, message: Message) -> Message:
        """The message is opened and kept: a receipt that cannot be sent now never takes it away again."""
        self._sign_receipt(core, fetched, "opened", None)
        try:
            self.send_kept(core.gid)
        except ExchangeError as error:
            late = f"the receipt could not be sent ({error.code}); `exchange-agency directory sync` sends it"
            return replace(message, alarms=(*message.alarms, late))
        return message

    def _fetch(self, gid: GrantId) -> Fetched:
        try:
            answer = self.session.hub.get(f"/v1/grants/{gid}")
        except ProtocolError as error:
            self._is_dead(gid, error)
            raise
        return read_fetched(gid, answer)

    def _is_dead(self, gid: GrantId, error: ProtocolError) -> bool:
        """Whether the hub has answered with a tombstone, which is then taken.

        It is no proof by itself: its withdrawal is, and the next grant's `prev`.
        """
        stone = tombstone_of(error)
        if stone is None:
            return False
        sweep(self.session.home.spool, self.session.now(), gid)
        bury(self.session, stone)
        return True

    def _known_withdrawn(self, fetched: Fetched) -> bool:
        """Whether this agency has seen a withdrawal of the consent that comes with the grant, or was asked
        to delete what rests on it."""
        if fetched.consent is None:
            return False
        offered = Granted(fetched.consent)
        if deletion_rows.owed(self.session.store, offered.consent.family) is not None:
            return True
        family = consent_rows.found(self.session.store, RECEIVED, "family", offered.consent.family)
        return any(row.status == consent_rows.WITHDRAWN for row in family)

    def _known_newest(self, fetched: Fetched) -> Consent | None:
        """What this agency knows to have superseded the consent that comes with the grant, if anything.

        It may be narrower: a hub must not give under the older one, and a stick may have been on its way.
        """
        return (
            None
            if fetched.consent is None
            else superseding(self.session.store, RECEIVED, Granted(fetched.consent))
        )

    def _check_chain(self, core: GrantCore, fetched: Fetched) -> tuple[str, ...]:
        """The place in the sender's chain; a gap that the inbox does not explain is an alarm."""
        store, digest = self.session.store, grant_digest(fetched.core, fetched.sealed)
        alarms: tuple[str, ...] = ()
        if note_proved(store, core.snd, core.seq, digest):
            alarms = (
                f"the hub listed another message as number {core.seq} from {core.snd} before: "
                "tell that agency and the commission",
            )
        if not gap_before(store, core):
            return alarms
        try:
            for _ in self.inbox():
                pass
        except Replay as error:
            # The hub's listing contradicts itself: this message and its sender have no part in that.
            alarms = (*alarms, f"{error.message} in the hub's listing: tell the operator")
        if not gap_before(store, core):
            return alarms
        return (
            *alarms,
            f"message {core.seq - 1} from {core.snd} was never shown to this agency: "
            "it may have been withheld; ask that agency and tell the operator",
        )

    def _check_detention(self, core: GrantCore, opened: Opened) -> None:
        care = opened.fields.get("care_arrangement")
        if isinstance(care, str):
            me = self.session.profile.agency
            verified = relation_verified(self.session.store, core.thread, me)
            attested = arranges_release(self.session.store, me)
            check_detention(care, relation_verified=verified, arranges_release=attested)

    def _keep(self, fetched: Fetched, verified: Verified, opened: Opened, alarms: tuple[str, ...]) -> Message:
        core, consent = verified.core, verified.consent
        keep = None if consent is None else self.session.now() + timedelta(days=consent.retention_days)
        message = Message(
            gid=core.gid,
            eid=core.eid,
            kind=core.kind,
            sender=core.snd,
            thread=core.thread,
            purpose=core.pur,
            issued=core.iat,
            expires=core.exp,
            seq=core.seq,
            consent=None if consent is None else consent.cid,
            keep_until=None if keep is None else keep.replace(microsecond=0),
            fields=opened.fields,
            content=opened.content,
            photo=None,
            alarms=alarms,
            reply_by=core.reply_by,
            in_reply_to=core.in_reply_to,
            supersedes=core.supersedes,
        )
        entry = self.session.receipts.id_of(fetched.receipt)
        evidence = Evidence(b64u(fetched.core), b64u(fetched.sealed), fetched.manifest.to_json(), entry)
        store = self.session.store
        with store.writing():
            if opened.photo is not None:
                message = replace(message, photo=message_rows.keep_photo(store, core.gid, opened.photo))
            message_rows.put(store, message, evidence)
            self._keep_consent(fetched, consent)
            note_arrival(self.session, message, consent)
        return message

    def _keep_consent(self, fetched: Fetched, consent: Consent | None) -> None:
        """Keep the consent that came along; one that is here may be withdrawn and stays so."""
        if fetched.consent is None or consent is None or consent.rcp != self.session.profile.agency:
            return
        if consent_rows.get(self.session.store, RECEIVED, consent.cid) is None:
            consent_rows.put(self.session.store, RECEIVED, Granted(fetched.consent, registered=True))

    def acknowledge_kept(self) -> int:
        """Send the receipts that could not be sent before; gives how many."""
        waiting = self.unsent()
        for gid, _ in waiting:
            self.send_kept(gid)
        return len(waiting)

    def unsent(self) -> list[tuple[str, JsonValue]]:
        """(grant, signed receipt) of those that the hub has not taken."""
        every = self.session.store.each(_RECEIPTS)
        return [(gid, value["receipt"]) for gid, value in every if value.get("sent") is not True]

    def _sign_receipt(self, core: GrantCore, fetched: Fetched, outcome: str, code: str | None) -> None:
        """Make the one signed receipt for a grant; a second outcome changes nothing."""
        store = self.session.store
        with store.writing():
            if store.get(_RECEIPTS, core.gid) is not None:
                return
            receipt = RecipientReceipt(
                origin=core.origin,
                gid=core.gid,
                grant=grant_digest(fetched.core, fetched.sealed),
                snd=core.snd,
                rcp=core.rcp,
                outcome=outcome,
                iat=self.session.now(),
                code=code,
            )
            signed = sign(receipt.to_bytes(), RecipientReceipt.typ, [self.session.keys.envelope[-1]])
            store.put(_RECEIPTS, core.gid, {"receipt": signed.to_json(), "sent": False})

    def send_kept(self, gid: str) -> None:
        """Send a kept receipt; the hub may have one from another host of this agency, which is as good."""
        store = self.session.store
        kept = store.get(_RECEIPTS, gid)
        if kept is None or kept.get("sent") is True:
            return
        try:
            self._post_receipt(gid, kept["receipt"])
        except (KeyNotActive, KeyRevoked, KidUnknown):
            # Our envelope key was changed since it was signed.
            self.session.refresh_keys()
            kept = {**kept, "receipt": self._signed_anew(kept["receipt"])}
            self._post_receipt(gid, kept["receipt"])
        store.put(_RECEIPTS, gid, {**kept, "sent": True})

    def _post_receipt(self, gid: str, receipt: JsonValue) -> None:
        with suppress(Replay, Conflict):
            self.session.hub.post(f"/v1/grants/{gid}/receipt", {"receipt": receipt})

    def _signed_anew(self, receipt: JsonValue) -> JsonValue:
        """The same receipt under the present envelope key."""
        old = RecipientReceipt.from_bytes(Signed.from_json(receipt, RecipientReceipt.LIMIT).payload)
        fresh = replace(old, iat=self.session.now())
        return sign(fresh.to_bytes(), RecipientReceipt.typ, [self.session.keys.envelope[-1]]).to_json()

    def _refuse(self, fetched: Fetched, error: ProtocolError) -> None:
        """Tell the sender with which code its grant was refused, where it can be named at all."""
        if isinstance(error, _NOT_THE_SENDERS):
            return
        try:
            core = GrantCore.from_bytes(fetched.core)
            if (core.gid, core.rcp) == (fetched.gid, self.session.profile.agency):
                self._sign_receipt(core, fetched, "refused", error.code)
                self.send_kept(core.gid)
        except ExchangeError:
            # The refusal itself is what the person must see.
            return


def _item(value: JsonValue) -> InboxItem:
    if not isinstance(value, dict):
        raise Malformed("items: an object is needed", field="items")
    seq = value.get("seq")
    if isinstance(seq, bool) or not isinstance(seq, int):
        raise Malformed("items: seq must be a number", field="seq")
    return InboxItem(
        gid=GrantId(check_id(value.get("gid"), field="gid")),
        eid=EnvelopeId(check_id(value.get("eid"), field="eid")),
        kind=str(value.get("kind")),
        sender=AgencyId(check_agency(value.get("snd"), field="snd")),
        thread=ThreadId(check_id(value.get("thread"), field="thread")),
        purpose=str(value.get("pur")),
        issued=parse_time(value.get("iat"), field="iat"),
        expires=parse_time(value.get("exp"), field="exp"),
        seq=seq,
        digest=Digest(check_digest(value.get("digest"), field="digest")),
        state=str(value.get("state")),
        kid=None if value.get("rcp_kid") is None else check_kid(value["rcp_kid"], field="rcp_kid"),
    )
