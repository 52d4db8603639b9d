"""The agency's working keys: envelope (signs), enc (opens), auth (OAuth), several of each while they rotate.

They lie in keys/agency.keys under the store key, so that every user of the agency reaches them and a
passphrase can change without touching them. The digest of agency.json lies with them. Approver and root
keys are never here: the one belongs to a person, the other offline.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from exchange.directory.state import AUTH, ENC
from exchange.member.profile import Profile
from exchange_keys.box import StoreKey
from exchange_keys.jose import AuthKey
from exchange_keys.keyfile import (
    KeyMaterial,
    PublicEntry,
    read_keyfile_with_store_key,
    write_keyfile_with_store_key,
)
from exchange_keys.public import PublicKey
from exchange_keys.sealing import EncKey
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import sha256
from exchange_schemas.errors import ConfigInvalid, KeyFileCorrupt, KidUnknown
from exchange_schemas.ids import Kid

_PROFILE = "profile"
_NEXT_PROFILE = "profile_next"
_CHANGED = "agency.json is not the one that was sealed with the agency's keys"


@dataclass(frozen=True, slots=True)
class AgencyKeys:
    """Each tuple holds the oldest key first; the newest is used for new things."""

    envelope: tuple[SigningKey, ...]
    enc: tuple[EncKey, ...]
    auth: tuple[AuthKey, ...]

    @classmethod
    def generate(cls) -> AgencyKeys:
        """One new key of each kind."""
        return cls((SigningKey.generate(),), (EncKey.generate(),), (AuthKey.generate("ES256"),))

    def public(self) -> tuple[PublicEntry, ...]:
        """All public halves with their use."""
        return (
            *(PublicEntry("envelope", key.public) for key in self.envelope),
            *(PublicEntry("enc", key.public) for key in self.enc),
            *(PublicEntry("auth", key.public) for key in self.auth),
        )

    def kids(self) -> frozenset[Kid]:
        """The ids of all working keys."""
        return frozenset(entry.kid for entry in self.public())

    def enc_for(self, kid: Kid) -> EncKey:
        """The enc key of that id. Raises: KidUnknown when this agency does not hold it (any more)."""
        for key in self.enc:
            if key.public.kid == kid:
                return key
        raise KidUnknown(
            "rcp_kid: sealed to a key that this agency does not hold",
            field="rcp_kid",
            hint="ask the sender to send it again to the present key",
        )

    def with_key(self, use: str, secret: bytes) -> AgencyKeys:
        """The same with one more key, the newest of its use; nothing changes when it is there already.

        Raises: Malformed.
        """
        if use == ENC:
            enc = EncKey.from_seed(secret)
            return self if enc.public.kid in self.kids() else replace(self, enc=(*self.enc, enc))
        if use == AUTH:
            auth = AuthKey.from_secret(secret)
            return self if auth.public.kid in self.kids() else replace(self, auth=(*self.auth, auth))
        key = SigningKey.from_seed(secret)
        return self if key.public.kid in self.kids() else replace(self, envelope=(*self.envelope, key))

    def without(self, kids: Collection[Kid]) -> AgencyKeys:
        """The same without these keys."""
        return AgencyKeys(
            envelope=tuple(key for key in self.envelope if key.public.kid not in kids),
            enc=tuple(key for key in self.enc if key.public.kid not in kids),
            auth=tuple(key for key in self.auth if key.public.kid not in kids),
        )

    def save(
        self, path: Path, key: StoreKey, profile: Profile, *, next_profile: Profile | None = None
    ) -> None:
        """Write keys/agency.keys, in place of an older one.

        With `next_profile` either description opens them: it is about to take the place of `profile`.
        """
        named = {f"envelope:{one.public.kid}": one.seed for one in self.envelope}
        named |= {f"enc:{one.public.kid}": one.seed for one in self.enc}
        named |= {f"auth:{one.public.kid}": one.secret for one in self.auth}
        named[_PROFILE] = sha256(profile.to_bytes())
        if next_profile is not None:
            named[_NEXT_PROFILE] = sha256(next_profile.to_bytes())
        write_keyfile_with_store_key(path, named, self.public(), key=key, label=profile.agency, replace=True)


def load_keys(path: Path, key: StoreKey, profile: Profile) -> AgencyKeys:
    """Read keys/agency.keys, and check that `agency.json` is the one it was made for.

    Raises: KeyFileCorrupt, WrongPassphrase, ConfigInvalid.
    """
    material = read_keyfile_with_store_key(path, key=key)
    if sha256(profile.to_bytes()) not in (material.secret(_PROFILE), material.secrets.get(_NEXT_PROFILE)):
        raise ConfigInvalid(_CHANGED, hint="restore agency.json from a backup; never edit the pins by hand")
    keys = AgencyKeys(
        envelope=tuple(SigningKey.from_seed(seed) for seed in _of_use(material, "envelope")),
        enc=tuple(EncKey.from_seed(seed) for seed in _of_use(material, "enc")),
        auth=tuple(AuthKey.from_secret(secret) for secret in _of_use(material, "auth")),
    )
    if not (keys.envelope and keys.enc and keys.auth):
        raise KeyFileCorrupt("keys/agency.keys lacks a key of some use")
    return keys


def _of_use(material: KeyMaterial, use: str) -> list[bytes]:
    """The secrets of a use, in the order of the public entries (oldest first)."""
    entries: list[PublicKey] = [entry.key for entry in material.public if entry.use == use]
    return [material.secret(f"{use}:{key.kid}") for key in entries]
