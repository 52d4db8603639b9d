"""Enrolment: the signed bundle that an operator admits, and the fingerprint that is read aloud.

It holds public keys only. The root signs here and for new approvers, and may then go offline.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from exchange.directory.enrolment import NewKey, check_bundle, fingerprint
from exchange.directory.state import ROOT
from exchange.member.files import write_private
from exchange.member.home import Home
from exchange.member.keyring import AgencyKeys
from exchange.member.root_file import read_root
from exchange.member.root_request import EnrolRequest
from exchange.member.session import Session, insecure_allowed
from exchange_keys.jws import Signed
from exchange_keys.public import PublicKey
from exchange_keys.root import RootKey
from exchange_schemas.enrolment import Enrolment
from exchange_schemas.errors import Conflict
from exchange_schemas.ids import Digest
from exchange_schemas.limits import LIMITS

KEY_LIFE = timedelta(days=730)
# The hub's clock decides: a key made by a clock that is ahead must be valid at once.


def write_enrolment(session: Session, out: Path, *, root_file: Path | None, root_passphrase: bytes) -> str:
    """Write the bundle to `out` and give the root's fingerprint.

    Raises: NotPermitted (a caseworker), ConfigInvalid, WrongPassphrase, KeyFileCorrupt, StorageFull.
    """
    request = enrol_request(session)
    root = open_root(session.home, root_file, root_passphrase)
    bundle = request.signed_by(root)
    _note(session, bundle, root.public.digest)
    write_private(out, bundle.to_bytes())
    return fingerprint(root.public.digest)


def enrol_request(session: Session) -> EnrolRequest:
    """What a root on another machine is to sign: the agency, its working keys, this user's approver key.

    Raises: NotPermitted (a caseworker).
    """
    approver = session.require_approver()
    now = session.now().replace(microsecond=0)
    keys = [
        *working_keys(session.keys, now),
        new_key("approver", approver.public, now, holder=pseudonym(session, session.user)),
    ]
    return EnrolRequest.of(session.profile, keys, now)


def take_bundle(session: Session, bundle: Signed) -> str:
    """Take the bundle that the root signed elsewhere, once it is seen to be this agency's; the fingerprint.

    Raises: Conflict when it enrols other keys or another description; what `check_bundle` raises.
    """
    profile, now = session.profile, session.now()
    checked = check_bundle(bundle, origin=profile.deployment.origin, now=now)
    told = checked.enrolment
    said = (told.agency, told.name, told.kind, told.country, told.public_authority, told.contact)
    ours = (profile.agency, profile.name, profile.kind, profile.country, profile.public_authority)
    approver = session.require_approver().public.kid
    kids = {key.kid for key in checked.agency.keys.values() if key.use != ROOT}
    if said != (*ours, profile.contact) or kids != {*session.keys.kids(), approver}:
        raise Conflict("the bundle enrols other keys or another agency than this folder's", field="bundle")
    _note(session, bundle, checked.root)
    return checked.fingerprint


def _note(session: Session, bundle: Signed, root: Digest) -> None:
    """These events are our own making: the directory's copy will not raise an alarm."""
    with session.store.writing():
        session.directory.own.note_root(root)
        for event in Enrolment.from_bytes(bundle.payload).events:
            session.directory.note_own(Signed.from_json(dict(event), LIMITS.event_bytes))


def open_root(home: Home, root_file: Path | None, passphrase: bytes) -> RootKey:
    """The root key from the folder or from where it is kept. Raises: as `read_root`."""
    path = home.root_file if root_file is None else root_file
    return read_root(path, passphrase=passphrase, allow_insecure=insecure_allowed())


def working_keys(keys: AgencyKeys, now: datetime) -> list[NewKey]:
    """The agency's envelope, enc and auth keys, valid for two years."""
    return [new_key(entry.use, entry.key, now) for entry in keys.public()]


def new_key(use: str, public: PublicKey, now: datetime, *, holder: str | None = None) -> NewKey:
    """A key valid from two minutes ago, for two years."""
    return NewKey(use, public, nbf=now - LIMITS.clock_leeway, exp=now + KEY_LIFE, holder=holder)


def pseudonym(session: Session, user: str) -> str:
    """How the directory names the holder of an approver key: one name for one person, not theirs."""
    return session.store.pseudonym("holder", user).hex()[:20]
