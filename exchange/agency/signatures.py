"""Whose signature is it? A signed object is believed only through the own copy of the directory.

Pure over a directory state. A key must be the agency's, for this use, valid when the object says it was
signed, and not revoked since.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from exchange.directory.state import DirectoryState, KeyState
from exchange_keys.jws import Signed, verify
from exchange_keys.public import PublicKey
from exchange_schemas.errors import SigInvalid
from exchange_schemas.ids import AgencyId, Kid


def signers_of(
    state: DirectoryState,
    signed: Signed,
    typ: str,
    *,
    agency: AgencyId,
    use: str,
    signed_at: datetime,
    now: datetime,
) -> tuple[KeyState, ...]:
    """The keys that signed, every signature verified, every key one of `agency` for `use`.

    (1) The signatures verify under keys of the directory. (2) Each key is that agency's, for this use, was
    valid at `signed_at` and still counts `now`.
    Raises: KidUnknown, SigInvalid, KeyWrongUse, KeyRevoked, KeyNotActive, OriginMismatch, Malformed.
    """
    kids = verify(signed, typ, origin=state.origin, key_for=_keys_of(state))
    return tuple(state.require_past_key(kid, use, now, agency, signed_at=min(signed_at, now)) for kid in kids)


def signers_once(
    state: DirectoryState, signed: Signed, typ: str, *, agency: AgencyId, use: str, signed_at: datetime
) -> tuple[KeyState, ...]:
    """As `signers_of`, for what must count whatever became of the keys since: they were valid at `signed_at`.

    Raises: KidUnknown, SigInvalid, KeyWrongUse, KeyNotActive, OriginMismatch, Malformed.
    """
    kids = verify(signed, typ, origin=state.origin, key_for=_keys_of(state))
    return tuple(state.require_once_key(kid, use, agency, signed_at=signed_at) for kid in kids)


def sole_signer(
    state: DirectoryState,
    signed: Signed,
    typ: str,
    *,
    agency: AgencyId,
    use: str,
    signed_at: datetime,
    now: datetime,
) -> KeyState:
    """As `signers_of` for a manifest, which has exactly one signature. Raises: as it, SigInvalid for more."""
    _must_be_one(signed)
    (found,) = signers_of(state, signed, typ, agency=agency, use=use, signed_at=signed_at, now=now)
    return found


def sole_signer_once(
    state: DirectoryState, signed: Signed, typ: str, *, agency: AgencyId, use: str, signed_at: datetime
) -> KeyState:
    """As `signers_once` for a manifest: exactly one signature. Raises: as it, SigInvalid for more."""
    _must_be_one(signed)
    (found,) = signers_once(state, signed, typ, agency=agency, use=use, signed_at=signed_at)
    return found


def _must_be_one(signed: Signed) -> None:
    if len(signed.signatures) != 1:
        raise SigInvalid("signatures: exactly one is needed", field="signatures")


def _keys_of(state: DirectoryState) -> Callable[[Kid], PublicKey | None]:
    def key_for(kid: Kid) -> PublicKey | None:
        key = state.key(kid)
        return None if key is None else key.public

    return key_for
