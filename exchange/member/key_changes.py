"""Changing a key, step by step: the plan in the store, the facts, and what each step does. See `rotation`.

The plan is stored whole, with the new secret, before anything is done; each step then leaves a fact behind
that its repetition finds: an event in the directory, a key in a file. Every event is noted as this agency's
own before it is posted. Approvers sign the events of enc, envelope and auth keys when their step comes; what
only a root may sign is in the plan, signed. Emptying an old enc key is for the program that reads messages.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from datetime import datetime

from exchange.directory.events import sign_event
from exchange.directory.state import APPROVER, AUTH, ENC, ROOT, AgencyState, KeyState, KeyStatus
from exchange.member.enrolment import KEY_LIFE, pseudonym
from exchange.member.files import disk_errors
from exchange.member.key_plans import Change, read_plan, write_plan
from exchange.member.locks import hold
from exchange.member.rotation import ROTATED, Facts, Step, drain_until, next_step, steps_of
from exchange.member.session import Session
from exchange.member.users import public_of
from exchange_keys.jose import AuthKey
from exchange_keys.jws import Signed
from exchange_keys.public import PublicKey
from exchange_keys.sealing import EncKey
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import JsonValue, b64u
from exchange_schemas.errors import Conflict, LogStale, NotPermitted, RecordUnknown, Replay, StoreCorrupt
from exchange_schemas.event import DrainEvent, Event, KeyEvent, RevokeEvent, RootSetEvent
from exchange_schemas.ids import Kid
from exchange_schemas.limits import LIMITS

_PLANS = "key_change"
_SECRETS = "key_change_secret"
NEXT_SUFFIX = ".next"


@dataclass(frozen=True, slots=True)
class KeyChanges:
    """The changes of one agency's keys on this machine; `now` and randomness are the session's."""

    session: Session

    def alone(self) -> AbstractContextManager[None]:
        """One command at a time changes keys."""
        return hold(self.session.home.path / "keys" / ".lock", what="changing keys")

    # -- plans ---------------------------------------------------------------------------------------------

    def plans(self) -> Iterator[Change]:
        """All, the finished ones too, oldest first."""
        for _, value in self.session.store.each(_PLANS):
            yield read_plan(value)

    def open_plan(self, use: str, user: str | None = None) -> Change | None:
        """The unfinished change of that use, and for an approver of that user."""
        wanted = (one for one in self.plans() if one.use == use and one.user == user and not one.finished)
        return next(wanted, None)

    def plan(self, kid: Kid) -> Change:
        """One change. Raises: RecordUnknown."""
        value = self.session.store.get(_PLANS, kid)
        if value is None:
            raise RecordUnknown("there is no such change of a key", field="kid")
        return read_plan(value)

    def begin(self, use: str, reason: str) -> Change:
        """The unfinished change of an enc, envelope or auth key, or a new one, stored with its secret.

        A calm change that is still open when `reason` is a theft is over: what was stolen held its new key as
        well, so another one begins that ends both.
        """
        found = self.open_plan(use)
        if found is not None and not found.overtaken_by(reason):
            return self._widened(found)
        key, secret = _new_secret(use)
        change = Change(use, reason, key, self.old_kids(use, instead_of=found), self.now())
        with self.session.store.writing():
            self.session.store.put_bytes(_SECRETS, change.kid, secret)
            self.replace(found, change)
        return change

    def _widened(self, change: Change) -> Change:
        """A theft that goes on ends what became active meanwhile as well: the thief may have logged it."""
        more = {} if change.reason == ROTATED else dict.fromkeys((*change.old, *self.old_kids(change.use)))
        old = tuple(kid for kid in more if kid != change.kid)
        if set(old) > set(change.old):
            change = replace(change, old=old)
            self.keep(change)
        return change

    def replace(self, found: Change | None, change: Change) -> None:
        """Store a new plan, in place of one that is not gone on with; both or neither."""
        with self.session.store.writing():
            if found is not None:
                self.finish(found)
            self.keep(change)

    def keep(self, change: Change) -> None:
        """Store the plan as it is now, durably."""
        self.session.store.put(_PLANS, change.kid, write_plan(change))

    def old_kids(
        self, use: str, holder: str | None = None, *, instead_of: Change | None = None
    ) -> tuple[Kid, ...]:
        """The keys of that use that a change replaces: active, or draining with their secret still here.

        One that was emptied and deleted before is left alone: what it signed goes on counting. Of the plan
        that the change is made `instead_of` both the old keys and the new one, which may not be logged yet.
        """
        held = self.session.keys.kids()
        planned = () if instead_of is None else (*instead_of.old, instead_of.kid)
        found = tuple(
            key.kid
            for key in self._agency().keys.values()
            if key.use == use
            and (key.status is KeyStatus.ACTIVE or (key.status is KeyStatus.DRAINING and key.kid in held))
            and (holder is None or key.holder == holder)
        )
        return tuple(dict.fromkeys((*found, *planned)))

    def hastened(self, change: Change, reason: str) -> Change:
        """An open change of the root, as urgent as `reason` says; what was signed in calm is void."""
        if change.overtaken_by(reason):
            change = replace(change, reason=reason, events=(), asked=())
            self.keep(change)
        return change

    # -- facts ---------------------------------------------------------------------------------------------

    def facts(self, change: Change) -> Facts:
        """What the directory's copy and this machine show about a change."""
        keys = self._agency().keys
        old = [keys[kid] for kid in change.old if kid in keys]
        return Facts(
            logged=change.kid in keys,
            taken_up=self._taken_up(change),
            old=tuple(key.status for key in old),
            emptied=change.emptied,
            held=not self.session.keys.kids().isdisjoint(change.old),
        )

    def next_step(self, change: Change) -> Step | None:
        """The step that is missing; None: finished."""
        return next_step(change.use, change.reason, self.facts(change))

    def progress(self, change: Change) -> list[tuple[Step, bool]]:
        """Every step of a change and whether it is done."""
        facts = self.facts(change)
        return [(step, facts.done(step)) for step in steps_of(change.use, change.reason)]

    def _taken_up(self, change: Change) -> bool:
        if change.use == ROOT:
            return True
        if change.user is not None:
            present = public_of(self.session.home.user_file(change.user))
            return present is not None and present.kid == change.kid
        return change.kid in self.session.keys.kids()

    def _agency(self) -> AgencyState:
        state = self.session.directory.state().agency(self.session.profile.agency)
        if state is None:
            raise NotPermitted("this agency is not in the key directory yet", rule="not-admitted")
        return state

    # -- steps ---------------------------------------------------------------------------------------------

    def perform(self, change: Change, step: Step) -> None:
        """Do one step of a change; again does no harm.

        Raises: HubUnreachable and the hub's refusals, StorageFull; NotPermitted when who must sign does not.
        """
        work: Mapping[Step, Callable[[Change], None]] = {
            Step.TAKE_UP: self._take_up,
            Step.LOG_NEW: self._log_new,
            Step.DRAIN: self._drain,
            Step.REVOKE: self._revoke,
            Step.DELETE: self._delete,
        }
        work[step](change)

    def finish(self, change: Change) -> Change:
        """Mark a change without a missing step as finished."""
        done = replace(change, finished=True, events=())
        with self.session.store.writing():
            self.session.store.delete(_SECRETS, change.kid)
            self.keep(done)
        return done

    def _take_up(self, change: Change) -> None:
        if change.user is not None:
            self._swap_user_file(change.user)
            return
        secret = self.session.store.get_bytes(_SECRETS, change.kid)
        if secret is None:
            raise StoreCorrupt("the new key of a change is no longer in the local store")
        session = self.session
        session.refresh_keys()
        keys = session.keys.with_key(change.use, secret)
        keys.save(session.home.keys_file, session.store_key, session.profile)
        session.refresh_keys()
        if change.use == AUTH:
            # The next step must show that the new key logs in, before the old one is revoked.
            session.hub.tokens.take_newest_key()

    def _swap_user_file(self, user: str) -> None:
        file = self.session.home.user_file(user)
        waiting = file.with_suffix(NEXT_SUFFIX)
        with disk_errors(f"key file of {user}"):
            os.replace(waiting, file)

    def _log_new(self, change: Change) -> None:
        events = change.events[:1] if change.events else self._signed(change, [self.new_event(change)])
        key = change.new if change.also is None else change.also
        self._post(events, {str(key.kid): b64u(key.raw)})

    def _drain(self, change: Change) -> None:
        self._post(self._endings(change), {})

    def _revoke(self, change: Change) -> None:
        self._post(self._endings(change), {})

    def _endings(self, change: Change) -> Sequence[Signed]:
        """What ends the old keys now: signed by the root in the plan, or by the approver at work."""
        if change.events:
            return change.events[1:]
        revoked = self.facts(change).done(Step.DRAIN)
        return self._signed(change, self.ending_events(change, revoke=revoked))

    def new_event(self, change: Change) -> Event:
        """The event of the new key, or of the new root, of a change."""
        now, profile = self.now(), self.session.profile
        if change.also is not None:
            return RootSetEvent(
                origin=profile.deployment.origin,
                iat=now,
                agency=profile.agency,
                ed25519=change.new.raw,
                mldsa65=change.also.kid,
            )
        return KeyEvent(
            origin=profile.deployment.origin,
            iat=now,
            agency=profile.agency,
            use=change.use,
            alg=change.new.alg,
            kid=change.kid,
            nbf=now - LIMITS.clock_leeway,
            exp=now + KEY_LIFE,
            holder=None if change.user is None else self.holder_of(change.user),
        )

    def ending_events(self, change: Change, *, revoke: bool = False) -> list[Event]:
        """A drain, in haste or with `revoke` a revocation, of each old key that still needs one."""
        logged = self._agency().keys
        keys = [logged[kid] for kid in change.old if kid in logged]
        if not revoke and Step.DRAIN in steps_of(change.use, change.reason):
            return [self._drain_event(key) for key in keys if key.status is KeyStatus.ACTIVE]
        return [self._revoke_event(key, change.reason) for key in keys if key.status is not KeyStatus.REVOKED]

    def _drain_event(self, key: KeyState) -> Event:
        now, profile = self.now(), self.session.profile
        return DrainEvent(
            origin=profile.deployment.origin,
            iat=now,
            agency=profile.agency,
            kid=key.kid,
            until=drain_until(key, now),
        )

    def _revoke_event(self, key: KeyState, reason: str) -> Event:
        profile = self.session.profile
        return RevokeEvent(
            origin=profile.deployment.origin,
            iat=self.now(),
            agency=profile.agency,
            kid=key.kid,
            reason=reason,
        )

    def _signed(self, change: Change, events: Sequence[Event]) -> list[Signed]:
        if change.use in (APPROVER, ROOT):
            raise NotPermitted(
                "only the root may sign this, and its signatures are not here",
                rule="root-needed",
                hint="run the command again with --root-key, or with --root-signed and the signed file",
            )
        return [sign_event(event, [self.session.require_approver()]) for event in events]

    def _delete(self, change: Change) -> None:
        session = self.session
        session.refresh_keys()
        session.keys.without(change.old).save(session.home.keys_file, session.store_key, session.profile)
        session.refresh_keys()

    def _post(self, events: Sequence[Signed], keys: Mapping[str, JsonValue]) -> None:
        """Log events that may be there already; what the directory then shows is what counts."""
        for event in events:
            self.session.directory.note_own(event)
            try:
                self.session.hub.post("/v1/directory/events", {"event": event.to_json(), "keys": dict(keys)})
            except (Replay, Conflict):
                # It was logged before this program could see it; if not, the step stays open.
                continue
            finally:
                self.look()

    def look(self) -> None:
        """Bring the directory's copy up to date.

        That no witness has seen the log for a day stops nothing here: a stolen key must be ended then too,
        and only this agency's own keys are looked at. Raises: as `DirectoryCopy.sync`, but LogStale.
        """
        with suppress(LogStale):
            self.session.directory.sync()

    def holder_of(self, user: str) -> str:
        """How the directory names a user."""
        return pseudonym(self.session, user)

    def now(self) -> datetime:
        """The session's clock, in whole seconds."""
        return self.session.now().replace(microsecond=0)


def _new_secret(use: str) -> tuple[PublicKey, bytes]:
    if use == ENC:
        enc = EncKey.generate()
        return enc.public, enc.seed
    if use == AUTH:
        auth = AuthKey.generate("ES256")
        return auth.public, auth.secret
    key = SigningKey.generate()
    return key.public, key.seed
