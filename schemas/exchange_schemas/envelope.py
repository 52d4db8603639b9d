"""The grant core and the manifest: who gives whom which fields, for what, on what authority.

They name fields and hold digests; nothing of a record may stand here, since the hub reads it all.
Source: protocol.md, "Envelope".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Self

from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import MAX_INT, JsonValue
from exchange_schemas.errors import VersionUnsupported
from exchange_schemas.ids import AgencyId, Digest, EnvelopeId, GrantId, Kid, PartId, ThreadId
from exchange_schemas.limits import LIMITS
from exchange_schemas.members import Code, ListOf, Time, Whole, agency, digest, random_id
from exchange_schemas.payload import Object, Payload, SignedSchema, StrictSchema, check_frame
from exchange_schemas.text_rules import refuse

_CATALOGUE = load_catalogue()
NO_PREVIOUS = Digest("A" * 43)
"""`prev` of the first grant from one sender to one recipient: 32 zero bytes."""


class PartRefSchema(StrictSchema):
    """One ciphertext of a grant."""

    p = random_id()
    f = Code([*_CATALOGUE.fields, *_CATALOGUE.message_fields])
    len = Whole(1, LIMITS.sealed_part_bytes)
    sha256 = digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRef:
    """`p` the part's id, `f` its field, `len` bytes of ciphertext, `sha256` of the ciphertext."""

    p: PartId
    f: str
    len: int
    sha256: Digest


class TreeHeadSchema(StrictSchema):
    """A position of the key directory."""

    size = Whole(0, MAX_INT)
    root = digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeHead:
    """The key directory as the sender saw it: `size` events, `root` hash."""

    size: int
    root: Digest


class GrantCoreSchema(SignedSchema):
    """The core bytes of a grant."""

    typ = Code(["hx-grant"])
    eid = random_id()
    gid = random_id()
    kind = Code(_CATALOGUE.kinds)
    thread = random_id()
    snd = agency()
    rcp = agency()
    rcp_kid = digest()
    sch = Whole(_CATALOGUE.version, _CATALOGUE.version)
    pur = Code(_CATALOGUE.purposes)
    cns = digest(required=False)
    subj = digest(required=False)
    iat = Time()
    exp = Time()
    reply_by = Time(required=False)
    in_reply_to = random_id(required=False)
    supersedes = random_id(required=False)
    seq = Whole(1, MAX_INT)
    prev = digest()
    dir = Object(TreeHeadSchema, TreeHead)
    parts = ListOf(Object(PartRefSchema, PartRef), most=LIMITS.parts_per_grant)

    @staticmethod
    def whole(values: Mapping[str, Any]) -> None:
        if values["exp"] <= values["iat"]:
            refuse("exp", "order", "it must be after iat")
        kind = _CATALOGUE.kinds[values["kind"]]
        if values["snd"] != values["rcp"]:
            _check_recipient_grant(kind.authority, kind.header, values)
        parts = values["parts"]
        if len({part.f for part in parts}) != len(parts) or len({part.p for part in parts}) != len(parts):
            refuse("parts", "unique", "a field or a part stands there twice")
        if (values["seq"] == 1) is not (values["prev"] == NO_PREVIOUS):
            refuse("prev", "chain", "32 zero bytes for the first grant of a chain and for no other")


def _check_recipient_grant(authority: str, header: frozenset[str], values: Mapping[str, Any]) -> None:
    """What a grant to another agency needs and the sender's grant for itself may lack."""
    if ("cns" in values) is not ("subj" in values):
        refuse("subj", "consent", "the consent and its subject come together")
    if authority == "consent" and "cns" not in values:
        refuse("cns", "consent", "this kind needs a consent")
    if authority == "none" and "cns" in values:
        refuse("cns", "consent", "this kind points at no consent")
    for name in sorted(header):
        if name not in values:
            refuse(name, "missing", "this kind needs the member")


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantCore(Payload):
    """The core of one recipient's grant; its bytes are bound into the sealed keys and the manifest.

    `eid`, `gid`, `thread`: ids of envelope, grant, thread. `snd`, `rcp`: agencies; `rcp_kid`: the X-Wing key
    of the recipient. `sch`: version of the catalogue. `pur`: purpose. `cns`: digest of the consent's payload,
    and `subj`: its subject (absent where the kind needs none, and in the sender's grant for itself).
    `in_reply_to`, `supersedes`: envelope ids. `seq`: from 1, and `prev`: digest of the grant before it, from
    this sender to this recipient. `dir`: the sender's directory. `parts`: in the order of their keys.
    """

    origin: str
    eid: EnvelopeId
    gid: GrantId
    kind: str
    thread: ThreadId
    snd: AgencyId
    rcp: AgencyId
    rcp_kid: Kid
    sch: int
    pur: str
    iat: datetime
    exp: datetime
    seq: int
    prev: Digest
    dir: TreeHead
    parts: tuple[PartRef, ...]
    cns: Digest | None = None
    subj: Digest | None = None
    reply_by: datetime | None = None
    in_reply_to: EnvelopeId | None = None
    supersedes: EnvelopeId | None = None

    typ: ClassVar[str] = "hx-grant"
    SCHEMA: ClassVar[type[StrictSchema]] = GrantCoreSchema
    LIMIT: ClassVar[int] = LIMITS.grant_core_bytes

    @classmethod
    def from_members(cls, members: Mapping[str, JsonValue]) -> Self:
        """As Payload; a core under another version of the catalogue is VersionUnsupported, not Malformed."""
        schema_version = members.get("sch")
        if type(schema_version) is int and schema_version != _CATALOGUE.version:
            check_frame(members, cls.typ)
            raise VersionUnsupported("sch: this version of the catalogue is not supported", field="sch")
        return super(GrantCore, cls).from_members(members)


class ManifestSchema(SignedSchema):
    """What the sender signs."""

    typ = Code(["hx-manifest"])
    eid = random_id()
    snd = agency()
    iat = Time()
    grants = ListOf(digest(), least=1, most=LIMITS.grants_per_manifest, in_order=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest(Payload):
    """The signed list of an envelope's grants: `grants` are their digests, sorted; `iat` when signed."""

    origin: str
    eid: EnvelopeId
    snd: AgencyId
    iat: datetime
    grants: tuple[Digest, ...]

    typ: ClassVar[str] = "hx-manifest"
    SCHEMA: ClassVar[type[StrictSchema]] = ManifestSchema
    LIMIT: ClassVar[int] = LIMITS.manifest_bytes
