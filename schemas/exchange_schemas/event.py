"""The events of the key directory: who takes part, with which keys, and for how long.

Payloads only: who must have signed what, and in which state, is exchange.directory's. `iat` keeps two equal
events apart, so that an old signature can never stand for a new decision.
Source: protocol.md, "Key directory".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, TypeAlias

from exchange_schemas.agreement import SharingAgreement, SharingAgreementSchema, check_pairs
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import MAX_INT, b64u, decode, lp, sha256
from exchange_schemas.ids import AgencyId, Digest, Kid
from exchange_schemas.limits import LIMITS
from exchange_schemas.members import Code, Flag, ListOf, Octets, Text, Time, Whole, agency, country, digest
from exchange_schemas.payload import Object, Payload, SignedSchema, StrictSchema, check_frame
from exchange_schemas.text_rules import refuse

_CATALOGUE = load_catalogue()
ALGS_OF_USE: Mapping[str, tuple[str, ...]] = {
    "envelope": ("Ed25519",),
    "approver": ("Ed25519",),
    "enc": ("X-Wing",),
    "auth": ("ES256", "PS256"),
}
"""Which algorithms a key may have for each use; root keys have an event of their own."""


class OperatorSchema(StrictSchema):
    """A named operator's governance key."""

    name = Text(chars=LIMITS.name_chars)
    kid = digest()
    key = Octets(length=32)

    @staticmethod
    def whole(values: Mapping[str, Any]) -> None:
        # kid = b64u(H(LP(alg) ‖ LP(raw key))), protocol.md "Encoding".
        if values["kid"] != b64u(sha256(lp(b"Ed25519", values["key"]))):
            refuse("operators.kid", "kid", "it is not the id of the key beside it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """`key`: raw Ed25519 public key, 32 bytes."""

    name: str
    kid: Kid
    key: bytes


class EventSchema(SignedSchema):
    """What every event begins with."""

    typ = Code(["hx-event"])
    iat = Time()


class GovernanceSchema(EventSchema):
    """Which operators govern, and how many of them must sign."""

    event = Code(["governance"])
    k = Whole(1, LIMITS.operators_per_deployment)
    operators = ListOf(Object(OperatorSchema, Operator), least=1, most=LIMITS.operators_per_deployment)

    @staticmethod
    def whole(values: Mapping[str, Any]) -> None:
        operators = values["operators"]
        if values["k"] > len(operators):
            refuse("k", "range", "more signatures than there are operators can never be had")
        for what in ("kid", "name"):
            if len({getattr(operator, what) for operator in operators}) != len(operators):
                refuse("operators", "unique", "two operators cannot share a key or a name")


class AdmitSchema(EventSchema):
    """An agency is admitted under the digest of its root keys."""

    event = Code(["admit"])
    agency = agency()
    name = Text(chars=LIMITS.name_chars)
    kind = Code(_CATALOGUE.agency_kinds)
    country = country()
    public_authority = Flag()
    contact = Text(chars=LIMITS.contact_chars)
    root = digest()


class RootSetSchema(EventSchema):
    """The root keys behind the digest, or new ones."""

    event = Code(["root-set"])
    agency = agency()
    ed25519 = Octets(length=32)
    mldsa65 = digest()


class KeySchema(EventSchema):
    """A key of an agency for one use."""

    event = Code(["key"])
    agency = agency()
    use = Code(ALGS_OF_USE)
    alg = Code(sorted({alg for algs in ALGS_OF_USE.values() for alg in algs}))
    kid = digest()
    nbf = Time()
    exp = Time()
    holder = Text(chars=LIMITS.name_chars, required=False)

    @staticmethod
    def whole(values: Mapping[str, Any]) -> None:
        if values["alg"] not in ALGS_OF_USE[values["use"]]:
            refuse("alg", "use", "not an algorithm of this use")
        if values["nbf"] >= values["exp"]:
            refuse("exp", "order", "it must be after nbf")


class DrainSchema(EventSchema):
    """A key that only opens from now on."""

    event = Code(["drain"])
    agency = agency()
    kid = digest()
    until = Time()


class RevokeSchema(EventSchema):
    """A key that is never used again."""

    event = Code(["revoke"])
    agency = agency()
    kid = digest()
    reason = Code(_CATALOGUE.codes["revoke_reason"])


class SuspendSchema(EventSchema):
    """An agency that takes no part for now."""

    event = Code(["suspend"])
    agency = agency()
    reason = Code(_CATALOGUE.codes["standing_reason"])


class ResumeSchema(EventSchema):
    """A suspended agency that takes part again."""

    event = Code(["resume"])
    agency = agency()


class ExpelSchema(EventSchema):
    """An agency that takes no part any more."""

    event = Code(["expel"])
    agency = agency()
    reason = Code(_CATALOGUE.codes["standing_reason"])


class AgreementsSchema(EventSchema):
    """What agencies of one kind may ever send to agencies of another."""

    event = Code(["agreements"])
    version = Whole(1, MAX_INT)
    agreements = ListOf(Object(SharingAgreementSchema, SharingAgreement), most=LIMITS.agreements_per_event)

    @staticmethod
    def whole(values: Mapping[str, Any]) -> None:
        check_pairs(values["agreements"])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event(Payload):
    """`iat`: when it was signed, aware UTC."""

    origin: str
    iat: datetime

    typ: ClassVar[str] = "hx-event"
    event: ClassVar[str]
    LIMIT: ClassVar[int] = LIMITS.event_bytes
    FIXED: ClassVar[frozenset[str]] = frozenset({"v", "typ", "event"})


@dataclass(frozen=True, slots=True, kw_only=True)
class GovernanceEvent(_Event):
    """`k` of the `operators` must sign; signed by the previous set, the first one by itself."""

    k: int
    operators: tuple[Operator, ...]

    event: ClassVar[str] = "governance"
    SCHEMA: ClassVar[type[StrictSchema]] = GovernanceSchema


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmitEvent(_Event):
    """`root`: digest of both root keys. `country`: ISO 3166-1 alpha-2. `contact`: a role address."""

    agency: AgencyId
    name: str
    kind: str
    country: str
    public_authority: bool
    contact: str
    root: Digest

    event: ClassVar[str] = "admit"
    SCHEMA: ClassVar[type[StrictSchema]] = AdmitSchema


@dataclass(frozen=True, slots=True, kw_only=True)
class RootSetEvent(_Event):
    """`ed25519`: raw public key, 32 bytes. `mldsa65`: the kid of the ML-DSA-65 key, fetched by it."""

    agency: AgencyId
    ed25519: bytes
    mldsa65: Kid

    event: ClassVar[str] = "root-set"
    SCHEMA: ClassVar[type[StrictSchema]] = RootSetSchema


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEvent(_Event):
    """`use`: envelope, approver, enc or auth. `holder`: the agency's own name for who holds the key."""

    agency: AgencyId
    use: str
    alg: str
    kid: Kid
    nbf: datetime
    exp: datetime
    holder: str | None = None

    event: ClassVar[str] = "key"
    SCHEMA: ClassVar[type[StrictSchema]] = KeySchema


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainEvent(_Event):
    """Senders no longer use the key; its holder opens with it `until` then."""

    agency: AgencyId
    kid: Kid
    until: datetime

    event: ClassVar[str] = "drain"
    SCHEMA: ClassVar[type[StrictSchema]] = DrainSchema


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeEvent(_Event):
    """`reason`: a revoke_reason of the catalogue."""

    agency: AgencyId
    kid: Kid
    reason: str

    event: ClassVar[str] = "revoke"
    SCHEMA: ClassVar[type[StrictSchema]] = RevokeSchema


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspendEvent(_Event):
    """`reason`: a standing_reason of the catalogue."""

    agency: AgencyId
    reason: str

    event: ClassVar[str] = "suspend"
    SCHEMA: ClassVar[type[StrictSchema]] = SuspendSchema


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeEvent(_Event):
    """The end of a suspension."""

    agency: AgencyId

    event: ClassVar[str] = "resume"
    SCHEMA: ClassVar[type[StrictSchema]] = ResumeSchema


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpelEvent(_Event):
    """`reason`: a standing_reason of the catalogue."""

    agency: AgencyId
    reason: str

    event: ClassVar[str] = "expel"
    SCHEMA: ClassVar[type[StrictSchema]] = ExpelSchema


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementsEvent(_Event):
    """All sharing agreements from now on; `version` is one more than that of those before, the first 1."""

    version: int
    agreements: tuple[SharingAgreement, ...]

    event: ClassVar[str] = "agreements"
    SCHEMA: ClassVar[type[StrictSchema]] = AgreementsSchema


Event: TypeAlias = (
    GovernanceEvent
    | AdmitEvent
    | RootSetEvent
    | KeyEvent
    | DrainEvent
    | RevokeEvent
    | SuspendEvent
    | ResumeEvent
    | ExpelEvent
    | AgreementsEvent
)

EVENTS: Mapping[str, type[Event]] = {
    cls.event: cls
    for cls in (
        GovernanceEvent,
        AdmitEvent,
        RootSetEvent,
        KeyEvent,
        DrainEvent,
        RevokeEvent,
        SuspendEvent,
        ResumeEvent,
        ExpelEvent,
        AgreementsEvent,
    )
}
"""The class of each event by its name in the payload."""


def read_event(data: bytes) -> Event:
    """The event of a payload. Raises: Malformed, VersionUnsupported."""
    members = decode(data, limit=LIMITS.event_bytes)
    check_frame(members, "hx-event")
    name = members.get("event")
    if not isinstance(name, str) or name not in EVENTS:
        refuse("event", "code", "not an event of the directory")
    return EVENTS[name].from_members(members)
