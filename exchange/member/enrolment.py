"""Enrolment: the signed bundle that an operator admits, and the fingerprint that is read aloud.

It holds public keys only. The root signs here and for new approvers, and may then go offline.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from exchange.directory.enrolment import NewKey, build_bundle, fingerprint
from exchange.member.files import write_private
from exchange.member.home import Home
from exchange.member.keyring import AgencyKeys
from exchange.member.profile import Profile
from exchange.member.root_file import read_root
from exchange.member.session import Session, insecure_allowed
from exchange_keys.jws import Signed
from exchange_keys.public import PublicKey
from exchange_keys.root import RootKey
from exchange_schemas.enrolment import Enrolment
from exchange_schemas.limits import LIMITS

KEY_LIFE = timedelta(days=730)
# The hub's clock decides: a key made by a clock that is ahead must be valid at once.
CLOCK_LEEWAY = timedelta(seconds=120)


def write_enrolment(session: Session, out: Path, *, root_file: Path | None, root_passphrase: bytes) -> str:
    """Write the bundle to `out` and give the root's fingerprint.

    Raises: NotPermitted (a caseworker), ConfigInvalid, WrongPassphrase, KeyFileCorrupt, StorageFull.
    """
    approver = session.require_approver()
    root = open_root(session.home, root_file, root_passphrase)
    now = session.now().replace(microsecond=0)
    keys = [
        *working_keys(session.keys, now),
        new_key("approver", approver.public, now, holder=pseudonym(session, session.user)),
    ]
    bundle = _bundle(session.profile, root, keys, now)
    with session.store.writing():
        session.directory.own.note_root(root.public.digest)
        for event in Enrolment.from_bytes(bundle.payload).events:
            session.directory.note_own(Signed.from_json(dict(event), LIMITS.event_bytes))
    write_private(out, bundle.to_bytes())
    return fingerprint(root.public.digest)


def open_root(home: Home, root_file: Path | None, passphrase: bytes) -> RootKey:
    """The root key from the folder or from where it is kept. Raises: as `read_root`."""
    path = home.root_file if root_file is None else root_file
    return read_root(path, passphrase=passphrase, allow_insecure=insecure_allowed())


def working_keys(keys: AgencyKeys, now: datetime) -> list[NewKey]:
    """The agency's envelope, enc and auth keys, valid for two years."""
    return [new_key(entry.use, entry.key, now) for entry in keys.public()]


def new_key(use: str, public: PublicKey, now: datetime, *, holder: str | None = None) -> NewKey:
    """A key valid from two minutes ago, for two years."""
    return NewKey(use, public, nbf=now - CLOCK_LEEWAY, exp=now + KEY_LIFE, holder=holder)


def pseudonym(session: Session, user: str) -> str:
    """How the directory names the holder of an approver key: one name for one person, not theirs."""
    return session.store.pseudonym("holder", user).hex()[:20]


def _bundle(profile: Profile, root: RootKey, keys: list[NewKey], now: datetime) -> Signed:
    return build_bundle(
        origin=profile.deployment.origin,
        iat=now,
        agency=profile.agency,
        name=profile.name,
        kind=profile.kind,
        country=profile.country,
        public_authority=profile.public_authority,
        contact=profile.contact,
        root=root,
        keys=keys,
    )
