"""Adding users to an unlocked agency: a caseworker is a matter of this folder, an approver of the directory.

An approver's key is logged in the key directory before their key file has its name, so that nobody is an
approver here whom the others would not believe.
"""

from __future__ import annotations

import os
from pathlib import Path

from exchange.directory.events import key_event
from exchange.member.enrolment import KEY_LIFE, open_root, pseudonym
from exchange.member.files import disk_errors
from exchange.member.key_changes import NEXT_SUFFIX, KeyChanges
from exchange.member.session import Session
from exchange.member.users import NewUser, open_user_file, public_of, write_user, write_user_file
from exchange_keys.public import PublicKey
from exchange_keys.root import RootKey
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import b64u
from exchange_schemas.errors import Conflict
from exchange_schemas.limits import LIMITS


def add_caseworker(session: Session, new: NewUser) -> None:
    """A user who works with the agency's keys and decides nothing. Raises: ConfigInvalid, Conflict."""
    with session.home.locked("users"):
        if session.home.user_file(new.name).exists():
            raise _taken()
        write_user(session.home, new, session.store_key, None)


def add_approver(session: Session, new: NewUser, *, root_file: Path | None, root_passphrase: bytes) -> None:
    """A user with an approver key of their own, signed by the root and logged in the directory.

    The key lies in users/NAME.next, under the new passphrase, before it is logged; what was cut short goes on
    with the same call, so that no approver's key is ever in the directory with its secret nowhere.
    Raises: Conflict (the user exists), WrongPassphrase (also when a call that was cut short had another one),
    ConfigInvalid, HubUnreachable, the hub's refusal.
    """
    user_file = session.home.user_file(new.name)
    waiting = user_file.with_suffix(NEXT_SUFFIX)
    with KeyChanges(session).alone():
        if user_file.exists():
            raise _taken()
        root = open_root(session.home, root_file, root_passphrase)
        session.directory.sync()
        approver = _waiting_key(session, new, waiting)
        if not _is_logged(session, approver.public):
            _log(session, new, approver.public, root)
        with disk_errors(f"key file of {new.name}"):
            os.replace(waiting, user_file)


def _taken() -> Conflict:
    return Conflict(
        "this agency has a user of this name already",
        field="user",
        hint="where the passphrase is forgotten: "
        "destroy NAME.key in the folder users, then add the user again",
    )


def _waiting_key(session: Session, new: NewUser, waiting: Path) -> SigningKey:
    """The key of a call that was cut short if the directory has it, else a new one, written durably."""
    begun = public_of(waiting)
    if begun is not None and _is_logged(session, begun):
        opened = open_user_file(waiting, new.name, new.passphrase, allow_insecure=new.insecure)
        if opened.approver is not None:
            return opened.approver
    approver = SigningKey.generate()
    write_user_file(waiting, new, session.store_key, approver, replace=True)
    return approver


def _is_logged(session: Session, key: PublicKey) -> bool:
    agency = session.directory.state().agency(session.profile.agency)
    return agency is not None and key.kid in agency.keys


def _log(session: Session, new: NewUser, key: PublicKey, root: RootKey) -> None:
    now = session.now().replace(microsecond=0)
    event = key_event(
        origin=session.profile.deployment.origin,
        iat=now,
        agency=session.profile.agency,
        use="approver",
        key=key,
        nbf=now - LIMITS.clock_leeway,
        exp=now + KEY_LIFE,
        signers=root.signers,
        holder=pseudonym(session, new.name),
    )
    session.directory.note_own(event)
    session.hub.post(
        "/v1/directory/events", {"event": event.to_json(), "keys": {str(key.kid): b64u(key.raw)}}
    )
