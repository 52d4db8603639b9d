"""The checks of a deposit that need nothing but the bytes sent: steps (1), (2), (3) and (5) of protocol.md.

No I/O, no clock of its own, nothing believed: what passes here is well-formed and agrees with itself, not
lawful. The numbers are those of protocol.md, "The hub on deposit, in this order".
  (1) the token's agency is the sender
  (2) sizes
  (3) strict parse
  (5) cheap equality: manifest and grants, digests, lengths in their buckets, the sender's grant for itself
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from exchange_keys.envelope import grant_digest
from exchange_keys.jws import Signed
from exchange_keys.padding import padme
from exchange_keys.parts import CHUNK_BYTES, HEADER_BYTES, TAG_BYTES, sealed_length
from exchange_keys.sealing import KEY_BYTES, OVERHEAD_BYTES
from exchange_schemas.catalogue import Catalogue, bucket_of
from exchange_schemas.codec import JsonValue, b64u, sha256, unb64u
from exchange_schemas.envelope import GrantCore, Manifest, PartRef
from exchange_schemas.errors import (
    FieldDenied,
    GrantExpired,
    Malformed,
    ManifestMismatch,
    OriginMismatch,
    PartDigest,
    SenderMismatch,
    TooLarge,
)
from exchange_schemas.ids import AgencyId, Digest, check_digest
from exchange_schemas.limits import LIMITS

INLINE_BYTES: Final = 64 * 1024
"""The longest ciphertext that travels in the envelope's own request; a longer one is uploaded first."""
MOST_PARTS: Final = LIMITS.grants_per_manifest * LIMITS.parts_per_grant


@dataclass(frozen=True, slots=True)
class DraftGrant:
    """One grant as sent, read but not believed; `digest` is its grant digest."""

    core: GrantCore
    core_bytes: bytes
    sealed: bytes
    digest: Digest

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of its parts."""
        return tuple(ref.f for ref in self.core.parts)


@dataclass(frozen=True, slots=True)
class Draft:
    """One deposit as sent, read but not believed; `digest` is the manifest's, the idempotency key."""

    signed: Signed
    manifest: Manifest
    digest: Digest
    grants: tuple[DraftGrant, ...]
    inline: Mapping[Digest, bytes]

    def shared(self) -> list[DraftGrant]:
        """The grants for others than the sender."""
        return [item for item in self.grants if item.core.rcp != self.manifest.snd]

    def refs(self) -> dict[Digest, PartRef]:
        """Every part that a grant names, by digest; `check_equality` makes sure that they agree."""
        return {ref.sha256: ref for item in self.grants for ref in item.core.parts}


def read_deposit(body: Mapping[str, Any], caller: AgencyId) -> Draft:
    """Steps (1) to (3) on `{manifest: JWS, grants: [{core, sealed}], parts: [{sha256, ct}]}`.

    Raises: SenderMismatch, TooLarge, Malformed, VersionUnsupported.
    """
    signed = Signed.from_json(body["manifest"], LIMITS.manifest_bytes)
    manifest = Manifest.from_bytes(signed.payload)
    # (1) the token's agency is the sender
    if manifest.snd != caller:
        raise SenderMismatch("snd: only the sender deposits what it signed", field="snd")
    # (2) sizes, before anything is decoded
    _check_sizes(body)
    # (3) strict parse
    grants = tuple(_read_grant(item) for item in body["grants"])
    inline = _read_parts(body["parts"])
    return Draft(signed, manifest, Digest(b64u(sha256(signed.payload))), grants, inline)


def check_equality(draft: Draft, *, origin: str, now: datetime, catalogue: Catalogue) -> None:
    """Step (5), but for the sender's own grant.

    Raises: OriginMismatch, ManifestMismatch, SenderMismatch, GrantExpired, Malformed, TooLarge,
    FieldDenied, PartDigest.
    """
    _check_manifest(draft, origin=origin, now=now)
    for item in draft.grants:
        _check_core(item, draft.manifest, origin=origin, now=now)
        for ref in item.core.parts:
            _check_length(ref, catalogue)
    _check_parts(draft)
    check_per_recipient([item.core for item in draft.shared()], catalogue)
    _check_inline(draft)


def check_self_grant(draft: Draft, *, first: bool) -> None:
    """Step (5) for the sender's own grant; `first` says that the manifest opens its envelope.

    Raises: ManifestMismatch.
    """
    if first and len(draft.shared()) == len(draft.grants):
        raise ManifestMismatch(
            "grants: the sender's grant for itself is missing", field="grants", rule="self-grant"
        )


# -- (2), (3) ------------------------------------------------------------------------------------------


def _check_sizes(body: Mapping[str, Any]) -> None:
    grants, parts = body["grants"], body["parts"]
    if len(grants) > LIMITS.grants_per_manifest:
        raise TooLarge(f"grants: at most {LIMITS.grants_per_manifest} in a manifest", field="grants")
    if len(parts) > MOST_PARTS:
        raise TooLarge(f"parts: at most {MOST_PARTS} in a request", field="parts")
    for item in grants:
        _check_size(item["core"], LIMITS.grant_core_bytes, "grants.core")
        _check_size(item["sealed"], LIMITS.sealed_keys_bytes, "grants.sealed")
    for item in parts:
        _check_size(item["ct"], INLINE_BYTES, "parts.ct")


def _check_size(text: str, limit: int, field: str) -> None:
    if len(text) > (limit * 4 + 2) // 3:
        raise TooLarge(f"{field}: over {limit} bytes", field=field)


def _read_grant(item: Mapping[str, JsonValue]) -> DraftGrant:
    core = unb64u(item["core"], field="grants.core", limit=LIMITS.grant_core_bytes)
    sealed = unb64u(item["sealed"], field="grants.sealed", limit=LIMITS.sealed_keys_bytes)
    return DraftGrant(GrantCore.from_bytes(core), core, sealed, grant_digest(core, sealed))


def _read_parts(items: Sequence[Mapping[str, JsonValue]]) -> dict[Digest, bytes]:
    inline = {
        check_digest(item["sha256"], field="parts.sha256"): unb64u(
            item["ct"], field="parts.ct", limit=INLINE_BYTES
        )
        for item in items
    }
    if len(inline) != len(items):
        raise Malformed("parts: one digest appears twice", field="parts")
    return inline


# -- (5) -----------------------------------------------------------------------------------------------


def _check_manifest(draft: Draft, *, origin: str, now: datetime) -> None:
    manifest = draft.manifest
    if manifest.origin != origin:
        raise OriginMismatch("origin: made for another deployment", field="origin")
    if manifest.iat > now + LIMITS.clock_leeway:
        raise Malformed("iat: in the future", field="iat")
    if tuple(sorted(item.digest for item in draft.grants)) != tuple(manifest.grants):
        raise ManifestMismatch("grants: not exactly those that the manifest lists", field="grants")
    for name, values in (
        ("gid", [item.core.gid for item in draft.grants]),
        ("rcp", [item.core.rcp for item in draft.grants]),
    ):
        if len(set(values)) != len(values):
            raise ManifestMismatch(f"{name}: it appears in two grants of the manifest", field=name)
    if len(draft.shared()) > LIMITS.recipients_per_envelope:
        raise TooLarge(f"grants: at most {LIMITS.recipients_per_envelope} recipients", field="grants")
    if len({(item.core.dir.size, item.core.dir.root) for item in draft.grants}) != 1:
        raise ManifestMismatch("dir: the grants name different positions of the key directory", field="dir")


def _check_core(item: DraftGrant, manifest: Manifest, *, origin: str, now: datetime) -> None:
    core = item.core
    if core.origin != origin:
        raise OriginMismatch("origin: the grant was made for another deployment", field="origin")
    if core.snd != manifest.snd:
        raise SenderMismatch("snd: the grant has another sender than its manifest", field="snd")
    if core.eid != manifest.eid:
        raise ManifestMismatch("eid: the grant is of another envelope than its manifest", field="eid")
    if core.iat > now + LIMITS.clock_leeway:
        raise Malformed("iat: in the future", field="iat")
    if core.exp <= now:
        raise GrantExpired("exp: the grant is past its time", field="exp")
    if len(item.sealed) != OVERHEAD_BYTES + KEY_BYTES * len(core.parts):
        raise Malformed("sealed: not the length that the grant's parts need", field="sealed")


def _check_length(ref: PartRef, catalogue: Catalogue) -> None:
    """A ciphertext of exactly the padded size of its field, so that its length says nothing."""
    bucket = bucket_of(catalogue, ref.f)
    fits = _is_padme(ref.len) if bucket is None else ref.len == sealed_length(bucket)
    if not fits:
        raise Malformed(
            f"{ref.f}: the part does not have the padded length of its field", field=ref.f, rule="bucket"
        )


def _is_padme(length: int) -> bool:
    """Whether a ciphertext of this length holds a PADMÉ-padded attachment."""
    body = length - HEADER_BYTES
    chunks = (body - TAG_BYTES) // (CHUNK_BYTES + TAG_BYTES)
    padded = body - TAG_BYTES * (chunks + 1)
    return padded >= 1 and sealed_length(padded) == length and padme(padded) == padded


def _check_parts(draft: Draft) -> None:
    """One part id stands for one field and one ciphertext, and the other way round."""
    by_id: dict[str, PartRef] = {}
    by_digest: dict[str, PartRef] = {}
    for item in draft.grants:
        for ref in item.core.parts:
            if by_id.setdefault(ref.p, ref) != ref or by_digest.setdefault(ref.sha256, ref) != ref:
                raise ManifestMismatch("parts: two grants name one part differently", field="parts")


def check_per_recipient(cores: Iterable[GrantCore], catalogue: Catalogue) -> None:
    """A field that differs for every recipient is sealed for each: one ciphertext would link them.

    `cores` are those of grants to others than the sender. Raises: FieldDenied.
    """
    seen: set[Digest] = set()
    for core in cores:
        for ref in core.parts:
            spec = catalogue.fields.get(ref.f)
            if spec is None or not spec.per_recipient:
                continue
            if ref.sha256 in seen:
                raise FieldDenied(
                    f"{ref.f}: it is sealed anew for every recipient", field=ref.f, rule="per-recipient"
                )
            seen.add(ref.sha256)


def _check_inline(draft: Draft) -> None:
    refs = draft.refs()
    for digest, ciphertext in draft.inline.items():
        ref = refs.get(digest)
        if ref is None:
            raise ManifestMismatch("parts: one of them is in no grant", field="parts")
        if b64u(sha256(ciphertext)) != digest or len(ciphertext) != ref.len:
            raise PartDigest(f"{ref.f}: not the bytes that the grant names", field=ref.f)


def names_of(grants: Iterable[DraftGrant]) -> tuple[str, ...]:
    """The names of all parts, sorted, each once: what an audit entry says."""
    return tuple(sorted({name for item in grants for name in item.fields}))
