"""Adding users to an unlocked agency: a caseworker is a matter of this folder, an approver of the directory.

An approver's key is logged in the key directory before their key file is written, so that nobody is an
approver here whom the others would not believe.
"""

from __future__ import annotations

from pathlib import Path

from exchange.directory.events import key_event
from exchange.member.enrolment import CLOCK_LEEWAY, KEY_LIFE, open_root, pseudonym
from exchange.member.session import Session
from exchange.member.users import NewUser, write_user
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import b64u
from exchange_schemas.errors import Conflict


def add_caseworker(session: Session, new: NewUser) -> None:
    """A user who works with the agency's keys and decides nothing. Raises: ConfigInvalid, Conflict."""
    with session.home.locked("users"):
        write_user(session.home, new, session.store_key, None)


def add_approver(session: Session, new: NewUser, *, root_file: Path | None, root_passphrase: bytes) -> None:
    """A user with an approver key of their own, signed by the root and logged in the directory.

    Raises: Conflict (the user exists), WrongPassphrase, ConfigInvalid, HubUnreachable, the hub's refusal.
    """
    if session.home.user_file(new.name).exists():
        raise Conflict("this agency has a user of this name already", field="user")
    root = open_root(session.home, root_file, root_passphrase)
    approver, now = SigningKey.generate(), session.now().replace(microsecond=0)
    event = key_event(
        origin=session.profile.deployment.origin,
        iat=now,
        agency=session.profile.agency,
        use="approver",
        key=approver.public,
        nbf=now - CLOCK_LEEWAY,
        exp=now + KEY_LIFE,
        signers=root.signers,
        holder=pseudonym(session, new.name),
    )
    session.directory.note_own(event)
    keys = {str(approver.public.kid): b64u(approver.public.raw)}
    with session.home.locked("users"):
        session.hub.post("/v1/directory/events", {"event": event.to_json(), "keys": keys})
        write_user(session.home, new, session.store_key, approver)
