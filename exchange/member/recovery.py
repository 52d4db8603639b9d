"""The recovery key: a way back into the agency's folder when every passphrase or every person is gone.

Its private half is an age file for an officer's safe and lies on no machine. Its public half seals the store
key, once, into keys/recovery.box, which travels with every backup of the folder. Whoever has both opens
everything that the agency holds, as a caseworker; deciding still needs an approver, whom only the root makes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from exchange.member.files import read_bounded, write_private
from exchange.member.home import Home
from exchange.member.keyring import load_keys
from exchange.member.session import Session
from exchange.member.users import NewUser, write_user
from exchange_keys.box import StoreKey
from exchange_keys.sealing import EncKey, open_keys, seal_keys
from exchange_schemas.codec import JsonValue, b64u, decode, encode, lp, unb64u
from exchange_schemas.errors import (
    ConfigInvalid,
    Conflict,
    DecryptFailed,
    KeyFileCorrupt,
    Malformed,
    WrongPassphrase,
)

BOX: Final = "recovery.box"
_TYP: Final = "hx-recovery"
_LABEL: Final = b"hx1/recovery"
_BYTES: Final = 16 * 1024
_VERSION: Final = 1
Seal = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class RecoveryKey:
    """The opened private half: whose it is, and the key."""

    agency: str
    origin: str
    key: EncKey

    @classmethod
    def from_bytes(cls, data: bytes) -> RecoveryKey:
        """Read what `make_recovery` sealed. Raises: KeyFileCorrupt."""
        try:
            value = decode(data, limit=_BYTES)
            if set(value) != {"v", "typ", "origin", "agency", "seed"} or value["typ"] != _TYP:
                raise Malformed("recovery: not a recovery key")
            seed = unb64u(value["seed"], field="seed", length=32)
        except Malformed as error:
            raise KeyFileCorrupt("the age file holds no recovery key") from error
        return cls(str(value["agency"]), str(value["origin"]), EncKey.from_seed(seed))


def make_recovery(session: Session, seal: Seal, out: Path) -> str:
    """A new recovery key in place of an older one, its private half in the age file `out`; its id.

    `seal` makes the age file. The older age file opens backups that were made before, and nothing newer.
    The file is there before the box that it opens: a crash leaves the older pair, or both halves.
    Raises: NotPermitted (a caseworker), StorageFull, what `seal` raises.
    """
    session.require_approver()
    key, profile = EncKey.generate(), session.profile
    members: dict[str, JsonValue] = {
        "v": _VERSION,
        "typ": _TYP,
        "origin": profile.deployment.origin,
        "agency": profile.agency,
        "seed": b64u(key.seed),
    }
    write_private(out, seal(encode(members)))
    context = _context(profile.agency, profile.deployment.origin)
    box = seal_keys(key.public.raw, [session.store_key.raw], context)
    sealed: dict[str, JsonValue] = {"v": _VERSION, "kid": key.public.kid, "box": b64u(box)}
    write_private(_box(session.home), encode(sealed) + b"\n")
    return key.public.kid


def recover(home: Home, recovery: RecoveryKey, new: NewUser) -> None:
    """Make a user who opens the folder, without any other passphrase.

    Raises: ConfigInvalid (no recovery box, a weak passphrase), WrongPassphrase (another recovery key),
    Conflict (the user exists).
    """
    profile = home.profile()
    if (recovery.agency, recovery.origin) != (profile.agency, profile.deployment.origin):
        raise Conflict("the recovery key is another agency's")
    path = _box(home)
    if not path.is_file():
        raise ConfigInvalid(
            "this folder has no recovery box", hint="restore a backup that has keys/recovery.box"
        )
    value = decode(read_bounded(path, limit=_BYTES, what=BOX).removesuffix(b"\n"), limit=_BYTES)
    if value.get("kid") != recovery.key.public.kid:
        raise WrongPassphrase("the box was sealed to another recovery key than this one")
    context = _context(recovery.agency, recovery.origin)
    try:
        box = unb64u(value.get("box"), field="box", limit=_BYTES)
        (raw,) = open_keys(recovery.key, box, context, 1)
    except (DecryptFailed, Malformed) as error:
        raise KeyFileCorrupt("the recovery box is damaged") from error
    store_key = StoreKey(raw)
    load_keys(home.keys_file, store_key, profile)
    with home.locked("users"):
        write_user(home, new, store_key, None)


def _box(home: Home) -> Path:
    return home.keys_file.with_name(BOX)


def _context(agency: str, origin: str) -> bytes:
    return lp(_LABEL, origin.encode(), agency.encode())
