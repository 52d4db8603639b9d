"""The parts of a deposit: each must be there, be the sender's, and belong to this envelope alone.

A part comes inline, was uploaded and waits for its envelope, or came with an earlier manifest of the same
envelope. Nothing here lets a grant name a part of another envelope or another sender: its own context would
keep it from opening, and a row that says otherwise would be a lie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BindParameter, bindparam, select, update
from sqlalchemy.dialects.postgresql import insert

from exchange.hub.models.parts import part
from exchange.hub.services.deposit_checks import Draft
from exchange.hub.sql import Call, Done, Statement
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.envelope import PartRef
from exchange_schemas.errors import ManifestMismatch, PartDigest, PartMissing
from exchange_schemas.ids import Digest

if TYPE_CHECKING:
    from exchange.hub.services.unit import Unit

_ME: Final[BindParameter[Any]] = bindparam("me")
_FIND: Final = Statement(
    select(part.c.sha256, part.c.bytes, part.c.eid, part.c.p, part.c.f, part.c.expires).where(
        part.c.agency == _ME, part.c.sha256.in_(bindparam("digests", expanding=True))
    )
)
_KEEP: Final = Statement(
    insert(part).on_conflict_do_nothing(), fills=("agency", "sha256", "bytes", "eid", "p", "f", "ct")
)
_USE: Final = Statement(
    update(part)
    .where(part.c.agency == _ME, part.c.sha256 == bindparam("digest"), part.c.eid.is_(None))
    .values(eid=bindparam("for_eid"), p=bindparam("for_p"), f=bindparam("for_f"), expires=None)
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What makes every part that the grants name this envelope's: calls, and how many rows each changes."""

    calls: tuple[Call, ...]
    counts: tuple[int, ...]

    def check(self, done: Sequence[Done]) -> None:
        """Whether each part was still to be had. Raises: PartMissing."""
        if tuple(one.count for one in done) != self.counts:
            raise PartMissing(
                "parts: one of them belongs to another envelope, was uploaded, or was given up meanwhile",
                field="parts",
                hint="upload it again",
            )


def claim_parts(unit: Unit, draft: Draft, *, first: bool) -> Claim:
    """Check every part that the grants name; what makes them this envelope's is to be run by the caller.

    Raises: PartMissing, PartDigest, ManifestMismatch (also for a new part in a supplementary manifest that is
    not sealed for each recipient).
    """
    refs = draft.refs()
    # All of them are new as a rule: then there is nothing to look up.
    plain = first and refs.keys() == draft.inline.keys()
    found = {} if plain else _find(unit, draft, list(refs))
    new = [refs[digest] for digest in draft.inline if digest not in found]
    uploaded = [refs[digest] for digest, row in found.items() if row.eid is None]
    for digest, ref in refs.items():
        if digest in found:
            _check_found(unit, draft, ref, found[digest])
        elif digest not in draft.inline:
            raise PartMissing(f"{ref.f}: the part is neither here nor uploaded", field=ref.f)
    if not first:
        _check_supplement([*new, *uploaded])
    calls = [_KEEP.for_each(_kept(draft, new))] if new else []
    if uploaded:
        calls.append(_USE.for_each(_used(draft, uploaded)))
    counts = tuple(len(refs) for refs in (new, uploaded) if refs)
    return Claim(tuple(calls), counts)


def _find(unit: Unit, draft: Draft, digests: Sequence[Digest]) -> Mapping[Digest, Any]:
    rows = _FIND.rows(unit.conn, {"me": draft.manifest.snd, "digests": digests})
    return {row.sha256: row for row in rows}


def _check_found(unit: Unit, draft: Draft, ref: PartRef, row: Any) -> None:
    if row.eid is None:
        if row.expires <= unit.now.timestamp() or not unit.hub.blobs.has(ref.sha256):
            raise PartMissing(f"{ref.f}: the part was not used in time; upload it again", field=ref.f)
    elif row.eid != draft.manifest.eid:
        raise PartMissing(f"{ref.f}: the part belongs to another envelope", field=ref.f)
    elif (row.p, row.f) != (ref.p, ref.f):
        raise ManifestMismatch(f"{ref.f}: the part stands for another field of the envelope", field=ref.f)
    if row.bytes != ref.len:
        raise PartDigest(f"{ref.f}: the part does not have the length that the grant names", field=ref.f)


def _check_supplement(added: Sequence[PartRef]) -> None:
    fields = load_catalogue().fields
    for ref in added:
        spec = fields.get(ref.f)
        if spec is None or not spec.per_recipient:
            raise ManifestMismatch(
                f"{ref.f}: a later manifest only grants what its envelope holds",
                field=ref.f,
                rule="supplement",
            )


def _kept(draft: Draft, refs: Sequence[PartRef]) -> list[dict[str, object]]:
    return [
        {
            "agency": draft.manifest.snd,
            "sha256": ref.sha256,
            "bytes": ref.len,
            "eid": draft.manifest.eid,
            "p": ref.p,
            "f": ref.f,
            "ct": draft.inline[ref.sha256],
        }
        for ref in refs
    ]


def _used(draft: Draft, refs: Sequence[PartRef]) -> list[dict[str, object]]:
    key = {"me": draft.manifest.snd, "for_eid": draft.manifest.eid}
    return [{**key, "digest": ref.sha256, "for_p": ref.p, "for_f": ref.f} for ref in refs]
