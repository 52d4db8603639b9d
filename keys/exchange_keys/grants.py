"""One recipient's grant: its digest, and opening it with the recipient's key.

Opening goes from the outside in: strict core, the key it names, the sealed part keys, the digest of every
part, and only then plaintext. Nothing here decides whether the grant was allowed or signed: manifest.py
and the consent rules do, and they come first.
Source: protocol.md "Envelope", "The recipient".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from exchange_keys.attachments import open_file
from exchange_keys.parts import PartContext, open_part
from exchange_keys.sealing import EncKey, open_keys
from exchange_keys.secret import Secret
from exchange_schemas.catalogue import Catalogue, bucket_of, load_catalogue
from exchange_schemas.codec import b64u, lp, sha256
from exchange_schemas.envelope import GrantCore, PartRef
from exchange_schemas.errors import KidUnknown, PartDigest, PartMissing
from exchange_schemas.ids import AgencyId, Digest, GrantId


@dataclass(frozen=True, slots=True)
class SealedGrant:
    """A grant as it travels: core bytes and sealed keys; the rest repeats the core for the sender."""

    core: bytes
    sealed: bytes
    digest: Digest
    gid: GrantId
    rcp: AgencyId
    seq: int


def grant_digest(core: bytes, sealed: bytes) -> Digest:
    """`base64url(H(LP(core) ‖ LP(sealed)))`, as the manifest lists it and the next `prev` repeats it."""
    return Digest(b64u(sha256(lp(core, sealed))))


def part_context(core: GrantCore, ref: PartRef) -> PartContext:
    """What the part of a grant is bound to."""
    return PartContext(core.origin, core.eid, ref.p, ref.f, core.sch, core.snd)


class UnlockedGrant(Secret):
    """A grant whose part keys are open; `core` is what its bytes say."""

    __slots__ = ("_catalogue", "_keys", "core")

    def __init__(self, core: GrantCore, keys: Sequence[bytes], catalogue: Catalogue) -> None:
        self.core = core
        self._keys = dict(zip((ref.f for ref in core.parts), keys, strict=True))
        self._catalogue = catalogue

    def key_of(self, field: str) -> tuple[PartRef, bytes]:
        """A part and its 32-byte key, for granting it again. Raises: PartMissing."""
        for ref in self.core.parts:
            if ref.f == field:
                return ref, self._keys[field]
        raise PartMissing("the grant has no part of this field", field=field)

    def fields(self, parts: Callable[[PartRef], bytes]) -> dict[str, bytes]:
        """Field name → plaintext of every part but attachments; `parts` gives a part's ciphertext.

        Every digest is checked before anything is opened.
        Raises: PartDigest, Malformed (a length that its bucket has not), DecryptFailed; FieldDenied for a
        field that the catalogue does not have; whatever `parts` raises, such as PartMissing.
        """
        buckets = {ref.f: bucket_of(self._catalogue, ref.f) for ref in self.core.parts}
        small = [(ref, parts(ref)) for ref in self.core.parts if buckets[ref.f] is not None]
        for ref, ciphertext in small:
            check_part(ref, ciphertext)
        return {
            ref.f: open_part(
                key=self._keys[ref.f],
                ciphertext=ciphertext,
                ctx=part_context(self.core, ref),
                bucket=buckets[ref.f],
            )
            for ref, ciphertext in small
        }

    def attachment(self, field: str, source: Path, target: Path) -> int:
        """Open the ciphertext file of an attachment into `target`; its size in bytes comes back.

        Raises: PartMissing, PartDigest, DecryptFailed, StorageFull, OSError.
        """
        ref, key = self.key_of(field)
        return open_file(key, source, target, part_context(self.core, ref), length=ref.len, sha256=ref.sha256)


def check_part(ref: PartRef, ciphertext: bytes) -> None:
    """That a ciphertext is the one that the grant names. Raises: PartDigest."""
    if len(ciphertext) != ref.len or b64u(hashlib.sha256(ciphertext).digest()) != ref.sha256:
        raise PartDigest(f"{ref.f}: the part is not the one that the grant names", field=ref.f)


def unlock_grant(
    core: bytes, sealed: bytes, key: EncKey, *, catalogue: Catalogue | None = None
) -> UnlockedGrant:
    """Open a grant's part keys with the X-Wing key that it names.

    Steps: (1) strict core (2) the key is the one named (3) HPKE, with the core bytes bound in.
    Raises: Malformed, VersionUnsupported, KidUnknown (sealed to another key), DecryptFailed.
    """
    # (1) The core, by its schema.
    parsed = GrantCore.from_bytes(core)
    # (2) Another recipient's grant, or one for a key that this agency no longer has.
    if parsed.rcp_kid != key.public.kid:
        raise KidUnknown("rcp_kid: the grant is sealed to another key", field="rcp_kid")
    # (3) The keys.
    keys = open_keys(key, sealed, core, len(parsed.parts))
    return UnlockedGrant(parsed, keys, load_catalogue() if catalogue is None else catalogue)


def open_grant(
    core: bytes, sealed: bytes, key: EncKey, parts: Callable[[PartRef], bytes]
) -> dict[str, bytes]:
    """Field name → plaintext bytes of a grant, attachments left out (see `UnlockedGrant.attachment`).

    Raises: as `unlock_grant` and `UnlockedGrant.fields`.
    """
    return unlock_grant(core, sealed, key).fields(parts)
