"""A weighty act on its way from one operator to the next: the event, the signatures so far, the bundle.

Where more than one operator must sign, the first one's command writes a proposal file; the others add their
signatures on their own machines; anybody then submits it. What a proposal does is always read from the signed
bytes, never from a description beside them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from exchange.directory.enrolment import CheckedEnrolment, check_bundle, fingerprint
from exchange.directory.signers import TYP
from exchange.hub.services.agencies import admission
from exchange_keys.durable import durable_file
from exchange_keys.jws import Signed, sign
from exchange_keys.signing import SigningKey
from exchange_schemas.agreement import SharingAgreement
from exchange_schemas.codec import JsonValue, decode, encode, format_time
from exchange_schemas.errors import Conflict, Malformed
from exchange_schemas.event import (
    AdmitEvent,
    AgreementsEvent,
    Event,
    ExpelEvent,
    GovernanceEvent,
    SuspendEvent,
    read_event,
)
from exchange_schemas.ids import Digest
from exchange_schemas.limits import LIMITS

PROPOSAL_TYP: Final = "hx-proposal"
_VERSION: Final = 1
_LIMIT: Final = 2 * LIMITS.signed_object_bytes


@dataclass(frozen=True, slots=True)
class Proposal:
    """`event`: an operators' event with one signature or more; `bundle`: the enrolment, for an admission."""

    event: Signed
    bundle: Signed | None

    @property
    def content(self) -> Event:
        """What the signatures are for. Raises: Malformed."""
        return read_event(self.event.payload)

    @property
    def signatures(self) -> int:
        """How many have signed."""
        return len(self.event.signatures)

    def facts(self) -> dict[str, JsonValue]:
        """What it does, in words."""
        return facts_of(self.content)

    @classmethod
    def begin(cls, event: Event, key: SigningKey, bundle: Signed | None = None) -> Proposal:
        """The event with its first signature."""
        return cls(sign(event.to_bytes(), TYP, [key]), bundle)

    def signed_by(self, key: SigningKey) -> Proposal:
        """The same with one more signature. Raises: Conflict when this key has signed already."""
        if any(item.kid == key.public.kid for item in self.event.signatures):
            raise Conflict("this operator has signed the proposal already")
        added = sign(self.event.payload, TYP, [key]).signatures
        return replace(self, event=Signed(self.event.payload, (*self.event.signatures, *added)))

    def checked_bundle(self) -> CheckedEnrolment | None:
        """The enrolment, checked, and seen to be what the event admits; None where there is none.

        Raises: Conflict when the two do not belong together; as `check_bundle`.
        """
        event = self.content
        if not isinstance(event, AdmitEvent):
            if self.bundle is not None:
                raise Conflict("the proposal carries a bundle that its event does not admit")
            return None
        if self.bundle is None:
            raise Conflict("the proposal admits an agency without its bundle")
        checked = check_bundle(self.bundle, origin=event.origin, now=event.iat)
        if event != admission(checked, origin=event.origin, now=event.iat):
            raise Conflict("the signed admission is not that of the bundle beside it")
        return checked

    def write(self, path: Path, *, replace_file: bool) -> None:
        """Write the file. Raises: Conflict when it exists and may not be replaced; StorageFull, OSError."""
        members: dict[str, JsonValue] = {
            "v": _VERSION,
            "typ": PROPOSAL_TYP,
            "event": self.event.to_json(),
            "bundle": None if self.bundle is None else self.bundle.to_json(),
        }
        with durable_file(path, replace=replace_file) as file:
            file.write(encode(members) + b"\n")

    @classmethod
    def read(cls, path: Path) -> Proposal:
        """Read a file that `write` wrote. Raises: Malformed."""
        with path.open("rb") as file:
            data = file.read(_LIMIT + 1)
        members = decode(data.removesuffix(b"\n"), limit=_LIMIT)
        if set(members) != {"v", "typ", "event", "bundle"} or members["typ"] != PROPOSAL_TYP:
            raise Malformed(f"{path.name} is not a proposal")
        if members["v"] != _VERSION:
            raise Malformed(f"{path.name} is a proposal of another version", field="v")
        event = Signed.from_json(members["event"], LIMITS.event_bytes)
        bundle = members["bundle"]
        return cls(event, None if bundle is None else Signed.from_json(bundle, LIMITS.enrolment_bytes))


def subject_name(event: Event) -> str:
    """What a proposal's file is called after: the agency, `governance`, or the version of agreements."""
    if isinstance(event, AgreementsEvent):
        return str(event.version)
    return "governance" if isinstance(event, GovernanceEvent) else str(event.agency)


def facts_of(event: Event) -> dict[str, JsonValue]:
    """The event in words, from its signed bytes, for the person who is about to sign or submit it."""
    facts: dict[str, JsonValue] = {"event": event.event, "origin": event.origin}
    if isinstance(event, GovernanceEvent):
        facts["signatures_needed"] = event.k
        facts["operators"] = [operator.name for operator in event.operators]
        facts["operator_keys"] = [fingerprint(Digest(operator.kid)) for operator in event.operators]
    elif isinstance(event, AgreementsEvent):
        facts["version"] = event.version
        facts["agreements"] = [said(item) for item in event.agreements]
    else:
        facts["agency"] = event.agency
    if isinstance(event, AdmitEvent):
        facts.update(
            {
                "name": event.name,
                "kind": event.kind,
                "country": event.country,
                "public_authority": event.public_authority,
                "contact": event.contact,
                "fingerprint": fingerprint(event.root),
            }
        )
    if isinstance(event, SuspendEvent | ExpelEvent):
        facts["reason"] = event.reason
    facts["signed_at"] = format_time(event.iat)
    return facts


def said(item: SharingAgreement) -> str:
    """One agreement as one line: who to whom, what for, which fields; the same in every language."""
    return f"{' '.join(item.snd)} -> {' '.join(item.rcp)} ({' '.join(item.pur)}): {' '.join(item.fields)}"
