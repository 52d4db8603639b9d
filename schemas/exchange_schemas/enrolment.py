"""The enrolment bundle: everything that an agency says about itself to be admitted, signed by its root keys.

Public keys only. Nothing in it is believed before its signatures and the fingerprint of the root are checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import JsonValue
from exchange_schemas.ids import AgencyId, Kid
from exchange_schemas.limits import LIMITS
from exchange_schemas.members import Code, Flag, ListOf, Member, Octets, Text, agency, country, digest
from exchange_schemas.payload import Object, Payload, SignedSchema, StrictSchema, read_members
from exchange_schemas.text_rules import refuse

_CATALOGUE = load_catalogue()
_PROTECTED_BYTES = 512
_SIGNATURE_BYTES = 4096


class SignatureSchema(StrictSchema):
    """One signature of a JWS in general JSON form (RFC 7515, section 7.2.1)."""

    protected = Octets(most=_PROTECTED_BYTES)
    signature = Octets(most=_SIGNATURE_BYTES)


class JwsSchema(StrictSchema):
    """A JWS in general JSON form, its payload within the limit of a directory event."""

    payload = Octets(most=LIMITS.event_bytes)
    signatures = ListOf(Object(SignatureSchema, dict), least=1, most=LIMITS.signatures_per_object)


class JwsObject(Member):
    """A JWS that is kept as it came: its shape is checked, its content is for the directory's rules."""

    def read(self, value: JsonValue, where: str) -> JsonValue:
        read_members(JwsSchema, value, where)
        return value


class RootSchema(StrictSchema):
    """Both root keys of the agency."""

    ed25519 = Octets(length=32)
    mldsa65 = Octets(length=1952)


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """Raw public keys: `ed25519` 32 bytes, `mldsa65` 1,952 bytes."""

    ed25519: bytes
    mldsa65: bytes


class EnrolmentKeySchema(StrictSchema):
    """The bytes of a key that one of the events names."""

    kid = digest()
    key = Octets(most=LIMITS.public_key_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentKey:
    """`key`: the raw public key, in its algorithm's form."""

    kid: Kid
    key: bytes


class EnrolmentSchema(SignedSchema):
    """What the root keys sign."""

    typ = Code(["hx-enrol"])
    agency = agency()
    name = Text(chars=LIMITS.name_chars)
    kind = Code(_CATALOGUE.agency_kinds)
    country = country()
    public_authority = Flag()
    contact = Text(chars=LIMITS.contact_chars)
    root = Object(RootSchema, Root)
    events = ListOf(JwsObject(), least=1, most=LIMITS.events_per_enrolment)
    keys = ListOf(Object(EnrolmentKeySchema, EnrolmentKey), least=1, most=LIMITS.keys_per_enrolment)

    @staticmethod
    def whole(values: Mapping[str, Any]) -> None:
        keys = values["keys"]
        if len({key.kid for key in keys}) != len(keys):
            refuse("keys", "unique", "a key stands there twice")


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment(Payload):
    """An agency's application. `events`: JWS of root-set and key events; `keys`: the bytes they name."""

    origin: str
    agency: AgencyId
    name: str
    kind: str
    country: str
    public_authority: bool
    contact: str
    root: Root
    events: tuple[Mapping[str, JsonValue], ...]
    keys: tuple[EnrolmentKey, ...]

    typ: ClassVar[str] = "hx-enrol"
    SCHEMA: ClassVar[type[StrictSchema]] = EnrolmentSchema
    LIMIT: ClassVar[int] = LIMITS.enrolment_bytes
