"""The values that a consent decision is made of and what it answers. They hold names, never a record."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from types import MappingProxyType
from typing import Final, Self

from exchange_schemas.agreement import SharingAgreement
from exchange_schemas.consent import Consent
from exchange_schemas.envelope import GrantCore
from exchange_schemas.ids import AgencyId, Digest, EnvelopeId, ThreadId


class Side(StrEnum):
    """Who decides."""

    SENDER = "sender"
    HUB = "hub"
    RECIPIENT = "recipient"


class Status(StrEnum):
    """Where a consent stands, time apart."""

    ACTIVE = "active"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Party:
    """What the directory says of an agency; `country` is an ISO 3166-1 alpha-2 code."""

    agency: AgencyId
    kind: str
    country: str
    public_authority: bool


@dataclass(frozen=True, slots=True)
class ShareRequest:
    """What a grant's core declares; `fields` are the names of its parts."""

    origin: str
    kind: str
    sender: AgencyId
    recipient: AgencyId
    purpose: str
    fields: Collection[str]
    thread: ThreadId
    subj: Digest | None
    cns: Digest | None = None

    @classmethod
    def of(cls, core: GrantCore) -> Self:
        """What a grant's core asks to share."""
        return cls(
            origin=core.origin,
            kind=core.kind,
            sender=core.snd,
            recipient=core.rcp,
            purpose=core.pur,
            fields=tuple(ref.f for ref in core.parts),
            thread=core.thread,
            subj=core.subj,
            cns=core.cns,
        )


@dataclass(frozen=True, slots=True)
class ConsentStanding:
    """The status of the consent, and the newest of its family when it is superseded."""

    status: Status = Status.ACTIVE
    newest: Consent | None = None


@dataclass(frozen=True, slots=True)
class Confirmation:
    """An envelope of kind match_confirmation; `decision` is None where it cannot be read (the hub)."""

    eid: EnvelopeId
    kind: str
    sender: AgencyId
    recipient: AgencyId
    thread: ThreadId
    in_reply_to: EnvelopeId | None
    decision: str | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """What agencies of one kind may send to agencies of another."""

    purposes: frozenset[str]
    fields: frozenset[str]


@dataclass(frozen=True, slots=True)
class Policy:
    """Sharing agreements by (sender's kind, recipient's kind); None: the operators have signed none.

    `version`: that of the signed set, 0 where there is none.
    """

    agreements: Mapping[tuple[str, str], Agreement] | None = None
    version: int = 0

    @classmethod
    def of(cls, version: int, agreements: Iterable[SharingAgreement]) -> Self:
        """The policy that a signed set says."""
        found: dict[tuple[str, str], Agreement] = {}
        for item in agreements:
            one = Agreement(frozenset(item.pur), frozenset(item.fields))
            found |= dict.fromkeys(product(item.snd, item.rcp), one)
        return cls(MappingProxyType(found), version)

    def lets(self, sender: Party, recipient: Party) -> frozenset[str] | None:
        """The fields that may ever go between these two, whatever a consent says; None: any."""
        if self.agreements is None:
            return None
        found = self.agreements.get((sender.kind, recipient.kind))
        return frozenset() if found is None else found.fields


@dataclass(frozen=True, slots=True)
class Allow:
    """Every rule holds."""


@dataclass(frozen=True, slots=True)
class Deny:
    """The first rule that fails: error code, permanent tag, why, what would make it lawful, which field."""

    code: str
    rule: str
    reason: str
    remedy: str
    field: str | None = None


Decision = Allow | Deny
NO_POLICY: Final = Policy()
