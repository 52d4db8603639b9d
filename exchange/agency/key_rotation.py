"""An agency's keys: list them, change one in calm or at once. Every step may be cut short and repeated.

`exchange.member.rotation` says which step comes next, `exchange.member.key_changes` does it. Here they are
run one after another, and an old enc key is emptied in between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from exchange.agency.emptying import Emptied, OnStep, empty
from exchange.agency.receiving import Receiver
from exchange.agency.regranting import Regranter
from exchange.directory.state import ENVELOPE, ROOT, KeyState, KeyStatus
from exchange.member.enrolment import open_root, pseudonym
from exchange.member.key_changes import KeyChanges
from exchange.member.key_plans import Change
from exchange.member.root_changes import (
    ask,
    ask_log_in,
    begin_approver,
    begin_root,
    sign_here,
    take_signatures,
)
from exchange.member.root_file import read_root
from exchange.member.root_request import RootEvents, read_request
from exchange.member.rotation import ROTATED, Step, due_at, steps_of
from exchange.member.session import Session, insecure_allowed
from exchange.member.users import NewUser, open_user
from exchange_schemas.errors import (
    Conflict,
    KeyRevoked,
    KidUnknown,
    Malformed,
    NotPermitted,
    SenderMismatch,
    SigInvalid,
)
from exchange_schemas.ids import Kid

_VOID = (KeyRevoked, KidUnknown, SenderMismatch, SigInvalid)


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key of this agency: `here` says whether its secret is on this machine, `due` when to change it.

    `next` is the step that an unfinished change will do, None where none has begun.
    """

    use: str
    kid: Kid
    alg: str
    status: str
    since: datetime | None
    ends: datetime | None
    user: str | None
    here: bool
    due: datetime | None
    next: str | None = None

    def overdue(self, now: datetime) -> bool:
        """Whether it should have been changed before now."""
        return self.due is not None and self.due < now

    def mend(self, now: datetime) -> str | None:
        """The command for a key that is overdue, or whose change was cut short; None when all is well."""
        if not self.overdue(now) and self.next is None:
            return None
        who = "" if self.user is None else f"--user {self.user} "
        return f"exchange-agency {who}keys rotate {self.use}"


@dataclass(frozen=True, slots=True)
class Changed:
    """How far a change came. `finished`, or `waits` names the step that a person must help with."""

    use: str
    kid: Kid
    reason: str
    finished: bool
    waits: str | None = None
    emptied: Emptied | None = None
    granted_again: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RootSource:
    """Where the root's signatures come from: a key file at hand, or files that travel.

    `request` is where to write what must be signed, `signed` what came back.
    """

    key: Path | None = None
    passphrase: bytes | None = None
    new_key: Path | None = None
    new_passphrase: bytes | None = None
    request: Path | None = None
    signed: Path | None = None


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one session's agency."""

    session: Session
    receiver: Receiver
    regranter: Callable[[], Regranter]

    def rows(self) -> list[KeyRow]:
        """Every key that is not revoked, as the directory shows it, those in use first."""
        changes = KeyChanges(self.session)
        state = self.session.directory.state().agency(self.session.profile.agency)
        if state is None:
            raise NotPermitted("this agency is not in the key directory yet", rule="not-admitted")
        waiting = {kid: one for one in changes.plans() if not one.finished for kid in (*one.old, one.kid)}
        users = {pseudonym(self.session, name): name for name in self.session.home.users()}
        rows = [
            self._row(key, users, changes, waiting.get(key.kid))
            for key in state.keys.values()
            if key.status is not KeyStatus.REVOKED
        ]
        return sorted(rows, key=lambda row: (row.use, row.status != "active", row.since is None, row.kid))

    def change(
        self,
        use: str,
        *,
        reason: str = ROTATED,
        give_up: bool = False,
        on_step: OnStep = lambda done, total: None,
    ) -> Changed:
        """Change an enc, envelope or auth key, or go on with the change that was cut short.

        `give_up` leaves what cannot be opened to its senders, who grant it again.
        Raises: NotPermitted (a caseworker), HubUnreachable and the hub's refusals; the same call goes on.
        """
        self.session.require_approver()
        changes = KeyChanges(self.session)
        with changes.alone():
            changes.look()
            change = changes.begin(use, reason)
            return self._run(changes, change, give_up=give_up, on_step=on_step)

    def change_approver(
        self, passphrase: bytes, root: RootSource, *, reason: str = ROTATED, insecure: bool = False
    ) -> Changed:
        """Change the approver key of the person at work, who has `passphrase`; the root must sign.

        Raises: NotPermitted (a caseworker), and as `change`.
        """
        self.session.require_approver()
        changes = KeyChanges(self.session)
        new = NewUser(self.session.user, passphrase, insecure)
        # Only who can open the present file may write the next one.
        open_user(self.session.home, new.name, passphrase, allow_insecure=insecure_allowed())
        with changes.alone():
            changes.look()
            change = begin_approver(changes, new, reason=reason)
            done = self._with_root(changes, change, root)
            if done.finished:
                opened = open_user(self.session.home, new.name, passphrase, allow_insecure=insecure_allowed())
                self.session.approver = opened.approver
            return done

    def change_root(self, root: RootSource, *, reason: str = ROTATED) -> Changed:
        """Change the root to the one in `root.new_key`; the old and the new one sign.

        Raises: ConfigInvalid, Conflict, and as `change`.
        """
        changes = KeyChanges(self.session)
        with changes.alone():
            changes.look()
            found = changes.open_plan(ROOT)
            if root.new_key is None and found is None:
                raise Malformed("new-root: the key file of the new root is needed", field="new-root")
            change = found if root.new_key is None else begin_root(changes, root.new_key, reason=reason)
            if change is None:
                raise Malformed("new-root: the key file of the new root is needed", field="new-root")
            return self._with_root(changes, change, root)

    def ask_log_in(self, out: Path) -> None:
        """Write what the root is to sign where this agency can no longer log in; an operator logs it.

        Raises: Conflict when it can, HubUnreachable, StorageFull.
        """
        changes = KeyChanges(self.session)
        with changes.alone():
            ask_log_in(changes).write(out)

    # -- running -------------------------------------------------------------------------------------------

    def _with_root(self, changes: KeyChanges, change: Change, root: RootSource) -> Changed:
        """Get the root's signatures as the source says, and go on; or stop where they are asked for."""
        if changes.next_step(change) is not None and not change.events:
            if root.signed is not None:
                signed = read_request(root.signed)
                if not isinstance(signed, RootEvents):
                    raise Malformed("root-signed: not a file of signed events", field="root-signed")
                change = take_signatures(changes, change, signed)
            elif root.request is not None:
                ask(changes, change).write(root.request)
                return Changed(change.use, change.kid, change.reason, finished=False, waits="root")
            else:
                change = self._signed_here(changes, change, root)
        try:
            return self._run(changes, change, give_up=False, on_step=lambda done, total: None)
        except _VOID:
            # The root was changed meanwhile, or the wrong one signed: ask the present one.
            changes.keep(replace(changes.plan(change.kid), events=(), asked=()))
            raise

    def _signed_here(self, changes: KeyChanges, change: Change, root: RootSource) -> Change:
        present = open_root(self.session.home, root.key, root.passphrase or b"")
        if change.use != ROOT:
            return sign_here(changes, change, present)
        if root.new_key is None:
            raise Malformed("new-root: the key file of the new root is needed", field="new-root")
        fresh = read_root(
            root.new_key, passphrase=root.new_passphrase or b"", allow_insecure=insecure_allowed()
        )
        return sign_here(changes, change, fresh, present)

    def _run(self, changes: KeyChanges, change: Change, *, give_up: bool, on_step: OnStep) -> Changed:
        emptied = None
        while (step := changes.next_step(change)) is not None:
            if step is Step.EMPTY:
                emptied = empty(self.receiver, self.regranter(), change.old, on_step)
                if not emptied.whole and not give_up:
                    return Changed(change.use, change.kid, change.reason, False, step, emptied)
                change = replace(change, emptied=True)
                changes.keep(change)
                continue
            changes.perform(change, step)
            if changes.next_step(change) is step:
                raise Conflict(f"the directory does not show the step '{step}'", rule="key-step")
        # Before the plan is closed: a command that is cut short here has more to do.
        granted, notes = self._afterwards(change)
        changes.finish(change)
        return Changed(change.use, change.kid, change.reason, True, None, emptied, granted, notes)

    def _afterwards(self, change: Change) -> tuple[int, tuple[str, ...]]:
        """A revoked envelope key voids what it signed: what nobody has opened is granted again at once."""
        if change.use != ENVELOPE or change.reason == ROTATED:
            return 0, ()
        # What is sealed now needs to know whose keys still stand.
        self.session.directory.ensure_fresh()
        regranter = self.regranter()
        found = regranter.again(regranter.unopened())
        return found.granted, found.failed

    def _row(
        self, key: KeyState, users: dict[str, str], changes: KeyChanges, change: Change | None
    ) -> KeyRow:
        # Behind the last step messages are granted again: what was cut short there goes on from it.
        step = (
            None if change is None else changes.next_step(change) or steps_of(change.use, change.reason)[-1]
        )
        user = None if key.holder is None else users.get(key.holder)
        return KeyRow(
            use=key.use,
            kid=key.kid,
            alg=key.public.alg,
            status=str(key.status),
            since=key.nbf,
            ends=key.until if key.until is not None else key.exp,
            user=user,
            here=key.kid in self.session.keys.kids() or user is not None,
            due=due_at(key),
            next=None if step is None else str(step),
        )
