"""Envelopes as requests: the honest one, and ones that were edited and signed again."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from exchange_keys.envelope import SealedEnvelope, grant_digest
from exchange_keys.jws import sign
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import b64u, decode, encode
from exchange_schemas.envelope import GrantCore, Manifest
from tests.integration.messages.agencies import Agency


def body_of(sealed: SealedEnvelope) -> dict[str, Any]:
    """The request that deposits an envelope."""
    return {
        "manifest": sealed.manifest.to_json(),
        "grants": [{"core": b64u(item.core), "sealed": b64u(item.sealed)} for item in sealed.grants],
        "parts": [{"sha256": digest, "ct": b64u(ct)} for digest, ct in sealed.parts.items()],
    }


def grant_of(sealed: SealedEnvelope, rcp: Agency) -> Any:
    return next(item for item in sealed.grants if item.rcp == rcp.id)


def core_of(data: bytes) -> GrantCore:
    return GrantCore.from_bytes(data)


def edited(
    sealed: SealedEnvelope,
    snd: Agency,
    edit: Callable[[dict[str, Any]], object],
    *,
    only: Agency | None = None,
    signer: SigningKey | None = None,
    **manifest: Any,
) -> dict[str, Any]:
    """The request of an envelope whose cores, or one recipient's only, were edited and signed again."""
    grants = []
    for item in sealed.grants:
        members = decode(item.core, limit=16 * 1024)
        if only is None or item.rcp == only.id:
            edit(members)
        grants.append((encode(members), item.sealed))
    return signed_request(sealed, grants, snd, signer, **manifest)


def signed_request(
    sealed: SealedEnvelope,
    grants: Sequence[tuple[bytes, bytes]],
    snd: Agency,
    signer: SigningKey | None = None,
    **manifest: Any,
) -> dict[str, Any]:
    """A request with these grants (core, sealed keys) and the envelope's parts, under a new manifest."""
    before = Manifest.from_bytes(sealed.manifest.payload)
    digests = tuple(sorted(grant_digest(core, keys) for core, keys in grants))
    after = replace(before, **({"grants": digests} | manifest))
    signed = sign(after.to_bytes(), "hx-manifest", [snd.envelope if signer is None else signer])
    return {
        **body_of(sealed),
        "manifest": signed.to_json(),
        "grants": [{"core": b64u(core), "sealed": b64u(keys)} for core, keys in grants],
    }
