"""A grant as the hub gives it: strictly read, nothing believed; and the tombstone of a dead one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exchange_keys.jws import Signed
from exchange_schemas.codec import JsonValue, unb64u
from exchange_schemas.errors import ExchangeError, Malformed
from exchange_schemas.ids import Digest, GrantId, PartId, check_digest, check_id
from exchange_schemas.limits import LIMITS
from exchange_schemas.tombstone import Tombstone


@dataclass(frozen=True, slots=True)
class FetchedPart:
    """One part: its ciphertext when it came along, None when it must be fetched by itself."""

    p: PartId
    sha256: Digest
    ct: bytes | None


@dataclass(frozen=True, slots=True)
class Fetched:
    """The hub's answer for one grant."""

    gid: GrantId
    core: bytes
    sealed: bytes
    manifest: Signed
    consent: Signed | None
    parts: tuple[FetchedPart, ...]
    directory_size: int = 0
    """How many events the hub says its directory has: a hint to look, never a proof."""
    receipt: JsonValue = None
    """The hub's receipt of this answer; `transport` has verified and kept it."""


def read_fetched(gid: GrantId, answer: Mapping[str, JsonValue]) -> Fetched:
    """Read `GET /v1/grants/{gid}`. Raises: Malformed."""
    consent, parts = answer.get("consent"), answer.get("parts")
    if not isinstance(parts, list) or len(parts) > LIMITS.parts_per_grant:
        raise Malformed("parts: a list is needed", field="parts")
    return Fetched(
        gid=gid,
        core=unb64u(answer.get("core"), field="core", limit=LIMITS.grant_core_bytes),
        sealed=unb64u(answer.get("sealed"), field="sealed", limit=LIMITS.sealed_keys_bytes),
        manifest=Signed.from_json(answer.get("manifest"), LIMITS.manifest_bytes),
        consent=None if consent is None else Signed.from_json(consent, LIMITS.consent_bytes),
        parts=tuple(_part(one) for one in parts),
        directory_size=_directory_size(answer.get("directory")),
        receipt=answer.get("receipt"),
    )


def tombstone_of(error: ExchangeError) -> Tombstone | None:
    """The tombstone in a refusal, if there is one. Raises: Malformed for one that cannot be read."""
    found = error.detail.get("tombstone")
    return None if found is None else Tombstone.from_json(found)


def _directory_size(value: JsonValue) -> int:
    size = value.get("size") if isinstance(value, dict) else None
    if isinstance(size, bool) or not isinstance(size, int):
        raise Malformed("directory: its size is needed", field="directory")
    return size


def _part(value: JsonValue) -> FetchedPart:
    if not isinstance(value, dict) or not {"p", "sha256"} <= set(value) <= {"p", "sha256", "ct"}:
        raise Malformed("parts: p, sha256 and perhaps ct are needed", field="parts")
    ct = value.get("ct")
    return FetchedPart(
        p=PartId(check_id(value["p"], field="parts.p")),
        sha256=check_digest(value["sha256"], field="parts.sha256"),
        ct=None if ct is None else unb64u(ct, field="parts.ct", limit=LIMITS.request_body_bytes),
    )
