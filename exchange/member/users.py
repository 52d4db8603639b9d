"""Users: each has a key file of their own that wraps the agency's store key, and for an approver their key.

A caseworker can work; only an approver can sign consents and withdrawals. A new approver's key is an event
of the key directory, signed by the root. A user's passphrase opens their file and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from exchange.member.files import read_bounded
from exchange.member.home import Home
from exchange_keys.box import StoreKey
from exchange_keys.keyfile import Cost, PublicEntry, read_keyfile, write_keyfile
from exchange_keys.keyfile_format import MAX_FILE_BYTES, parse_file
from exchange_keys.public import PublicKey
from exchange_keys.signing import SigningKey
from exchange_schemas.errors import ConfigInvalid

CASEWORKER = "caseworker"
APPROVER = "approver"
_STORE = "store"


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user to be made. `insecure` is for tests only: a passphrase cost that protects nothing."""

    name: str
    passphrase: bytes
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class OpenedUser:
    """What a passphrase gave: the store key, and the approver's own key if they are one."""

    name: str
    store_key: StoreKey
    approver: SigningKey | None


def write_user(home: Home, new: NewUser, store_key: StoreKey, approver: SigningKey | None) -> None:
    """Write a user's key file. Raises: ConfigInvalid (name, weak passphrase), Conflict (it exists)."""
    write_user_file(home.user_file(new.name), new, store_key, approver)


def write_user_file(
    path: Path, new: NewUser, store_key: StoreKey, approver: SigningKey | None, *, replace: bool = False
) -> None:
    """The same under another path, perhaps in place of an older file. Raises: as `write_user`."""
    secrets = {_STORE: store_key.raw}
    public: tuple[PublicEntry, ...] = ()
    if approver is not None:
        secrets[APPROVER] = approver.seed
        public = (PublicEntry(APPROVER, approver.public),)
    write_keyfile(
        path,
        secrets,
        public,
        passphrase=new.passphrase,
        cost=Cost.INSECURE if new.insecure else Cost.MODERATE,
        label=new.name,
        replace=replace,
        allow_insecure=new.insecure,
    )


def open_user(home: Home, name: str, passphrase: bytes, *, allow_insecure: bool = False) -> OpenedUser:
    """Open a user's key file. Raises: ConfigInvalid (no such user), WrongPassphrase, KeyFileCorrupt."""
    path = home.user_file(name)
    if not path.is_file():
        raise ConfigInvalid(
            "this agency has no such user", field="user", hint="see `exchange-agency user list`"
        )
    return open_user_file(path, name, passphrase, allow_insecure=allow_insecure)


def open_user_file(path: Path, name: str, passphrase: bytes, *, allow_insecure: bool = False) -> OpenedUser:
    """The same from another path. Raises: ConfigInvalid, WrongPassphrase, KeyFileCorrupt."""
    material = read_keyfile(path, passphrase=passphrase, allow_insecure=allow_insecure)
    seed = material.secrets.get(APPROVER)
    return OpenedUser(
        name=name,
        store_key=StoreKey(material.secret(_STORE)),
        approver=None if seed is None else SigningKey.from_seed(seed),
    )


def public_of(path: Path) -> PublicKey | None:
    """The approver key that a user's file shows without a passphrase; None for a caseworker, or no file.

    Raises: KeyFileCorrupt.
    """
    if not path.is_file():
        return None
    header, _ = parse_file(read_bounded(path, limit=MAX_FILE_BYTES, what="key file"))
    return next((entry.key for entry in header.public if entry.use == APPROVER), None)


def role_of(path: Path) -> str:
    """The role that a user's key file shows without a passphrase. Raises: KeyFileCorrupt."""
    header, _ = parse_file(read_bounded(path, limit=MAX_FILE_BYTES, what="key file"))
    return APPROVER if any(entry.use == APPROVER for entry in header.public) else CASEWORKER


def list_users(home: Home) -> list[tuple[str, str]]:
    """(name, role) of all users, by name."""
    home.profile()
    return [(name, role_of(home.user_file(name))) for name in home.users()]
