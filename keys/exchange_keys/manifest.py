"""The manifest: the sender's signature over the digests of all grants of an envelope.

A grant is worth nothing outside a validly signed manifest of the same sender, envelope and deployment.
Nothing here opens a grant or decides on consent.
Source: protocol.md "Manifest", "The recipient".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from exchange_keys.grants import grant_digest
from exchange_keys.jws import Signed, sign, verify
from exchange_keys.public import PublicKey
from exchange_keys.signing import SigningKey
from exchange_schemas.envelope import GrantCore, Manifest
from exchange_schemas.errors import ManifestMismatch, SenderMismatch, SigInvalid
from exchange_schemas.ids import AgencyId, Digest, EnvelopeId, Kid


def sign_manifest(
    signer: SigningKey,
    *,
    origin: str,
    eid: EnvelopeId,
    sender: AgencyId,
    issued_at: datetime,
    grants: Iterable[Digest],
) -> Signed:
    """A manifest over the grants' digests (sorted here), signed with the sender's `envelope` key.

    Raises: Malformed.
    """
    manifest = Manifest(origin=origin, eid=eid, snd=sender, iat=issued_at, grants=tuple(sorted(grants)))
    return sign(manifest.to_bytes(), Manifest.typ, [signer])


def verify_manifest(signed: Signed, *, origin: str, key_for: Callable[[Kid], PublicKey | None]) -> Kid:
    """Verify the one signature of a manifest; the kid that signed it.

    That the kid is an active `envelope` key of the manifest's sender is the caller's check, with the
    directory. Raises: Malformed, VersionUnsupported, OriginMismatch, KidUnknown, KeyWrongUse, SigInvalid.
    """
    if len(signed.signatures) != 1:
        raise SigInvalid("signatures: a manifest has exactly one", field="signatures")
    (kid,) = verify(signed, Manifest.typ, origin=origin, key_for=key_for)
    return kid


def open_manifest(
    signed: Signed, *, origin: str, key_for: Callable[[Kid], PublicKey | None]
) -> tuple[Manifest, Kid]:
    """A manifest with its one signature verified, and its signer's kid. Raises: as `verify_manifest`."""
    kid = verify_manifest(signed, origin=origin, key_for=key_for)
    return Manifest.from_bytes(signed.payload), kid


def check_grant(manifest: Manifest, core: bytes, sealed: bytes) -> GrantCore:
    """The grant's core, when exactly these bytes stand in the manifest and both tell of one envelope.

    Steps: (1) strict core (2) digest listed (3) same envelope and deployment (4) same sender.
    Raises: Malformed, VersionUnsupported, ManifestMismatch, SenderMismatch.
    """
    parsed = GrantCore.from_bytes(core)
    if grant_digest(core, sealed) not in manifest.grants:
        raise ManifestMismatch("grants: the manifest does not list this grant", field="grants")
    if (parsed.eid, parsed.origin) != (manifest.eid, manifest.origin):
        raise ManifestMismatch("eid: the grant belongs to another envelope", field="eid")
    if parsed.snd != manifest.snd:
        raise SenderMismatch("snd: the grant names another sender than the manifest", field="snd")
    return parsed
