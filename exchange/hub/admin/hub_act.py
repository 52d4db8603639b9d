"""Weighty acts of the hub itself that several operators must sign: they go round as a signed file.

  hub-key   move a log, or the tokens, away from the present key, which the statement names: good for one move
  accredit  say whose entries an auditor may read
  erase     forget what the log's commitments to a consent family or an envelope stand for
What an act does is read from the signed bytes. Nothing here may do one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

from exchange.directory.enrolment import fingerprint
from exchange.directory.state import Governance
from exchange.hub.admin.proposal import Proposal
from exchange_keys import jws
from exchange_keys.durable import durable_file
from exchange_keys.jws import Signed
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import JsonValue, decode, encode, format_time, parse_time
from exchange_schemas.errors import Conflict, KidUnknown, Malformed, SenderMismatch
from exchange_schemas.ids import AgencyId, Digest, Kid, check_agency, check_id, check_kid
from exchange_schemas.limits import LIMITS

TYP: Final = "hx-hubact"
BEGIN: Final = "begin"
FINISH: Final = "finish"
ROTATE: Final = "rotate"
HUB_KEY: Final = "hub-key"
ACCREDIT: Final = "accredit"
ERASE: Final = "erase"
SIGNED_WITHIN: Final = timedelta(days=30)
_VERSION: Final = 1
_COMMON: Final = {"v", "typ", "origin", "act", "iat"}
_MEMBERS: Final = {
    HUB_KEY: {*_COMMON, "kind", "move", "kid"},
    ACCREDIT: {*_COMMON, "auditor", "about"},
    ERASE: {*_COMMON, "scope", "ref"},
}


class Statement(Protocol):
    """An act before it is signed: `members` are its own, beside version, type, origin and time."""

    @property
    def act(self) -> str:
        """Which act it is."""

    @property
    def origin(self) -> str:
        """The deployment."""

    @property
    def iat(self) -> datetime:
        """When it was first signed."""

    def members(self) -> dict[str, JsonValue]:
        """What it says."""


@dataclass(frozen=True, slots=True)
class HubKeyAct:
    """`move` the use `kind` (a log, or the tokens) away from its present key `kid`."""

    origin: str
    kind: str
    move: str
    kid: Kid
    iat: datetime
    act: str = HUB_KEY

    def members(self) -> dict[str, JsonValue]:
        """Its own members."""
        return {"kind": self.kind, "move": self.move, "kid": self.kid}


@dataclass(frozen=True, slots=True)
class AccreditAct:
    """`auditor` may read the entries about these agencies; None: about all."""

    origin: str
    auditor: AgencyId
    about: tuple[AgencyId, ...] | None
    iat: datetime
    act: str = ACCREDIT

    def members(self) -> dict[str, JsonValue]:
        """Its own members."""
        return {"auditor": self.auditor, "about": None if self.about is None else list(self.about)}


@dataclass(frozen=True, slots=True)
class EraseAct:
    """Forget what commitments of `scope` (cns: a consent family, rec: an envelope) to `ref` stand for."""

    origin: str
    scope: str
    ref: str
    iat: datetime
    act: str = ERASE

    def members(self) -> dict[str, JsonValue]:
        """Its own members."""
        return {"scope": self.scope, "ref": self.ref}


@dataclass(frozen=True, slots=True)
class HubAct:
    """A statement and its signatures so far."""

    signed: Signed

    @classmethod
    def begin(cls, statement: Statement, key: SigningKey) -> HubAct:
        """The statement with its first signature."""
        payload = encode(
            {
                "v": _VERSION,
                "typ": TYP,
                "origin": statement.origin,
                "act": statement.act,
                **statement.members(),
                "iat": format_time(statement.iat),
            }
        )
        return cls(jws.sign(payload, TYP, [key]))

    @property
    def signatures(self) -> int:
        """How many have signed."""
        return len(self.signed.signatures)

    def facts(self) -> dict[str, JsonValue]:
        """The act in words, from its signed bytes. Raises: Malformed."""
        told = self._told()
        facts: dict[str, JsonValue] = {"event": told["act"], "origin": told["origin"]}
        if told["act"] == HUB_KEY:
            facts["event"] = f"{HUB_KEY} {told['move']}"
            facts["key"] = told["kind"]
            facts["replaces"] = fingerprint(Digest(check_kid(told["kid"], field="kid")))
        elif told["act"] == ACCREDIT:
            act = self.accreditation()
            facts["auditor"] = act.auditor
            facts["may_read"] = "the entries about all" if act.about is None else list(act.about)
        else:
            erasure = self.erasure()
            facts["forget"] = "a consent family" if erasure.scope == "cns" else "an envelope"
            facts["id"] = erasure.ref
        facts["signed_at"] = told["iat"]
        return facts

    def accreditation(self) -> AccreditAct:
        """What is accredited. Raises: Malformed when it is another act."""
        told = self._told(ACCREDIT)
        about = told["about"]
        if about is not None and (not isinstance(about, list) or not about):
            raise Malformed("about: the agencies are needed", field="about")
        return AccreditAct(
            origin=str(told["origin"]),
            auditor=check_agency(told["auditor"], field="auditor"),
            about=None if about is None else tuple(check_agency(one, field="about") for one in about),
            iat=parse_time(told["iat"], field="iat"),
        )

    def erasure(self) -> EraseAct:
        """What is erased. Raises: Malformed when it is another act."""
        told = self._told(ERASE)
        if told["scope"] not in ("cns", "rec"):
            raise Malformed("scope: a consent family or an envelope", field="scope")
        ref = check_id(told["ref"], field="ref")
        return EraseAct(str(told["origin"]), str(told["scope"]), ref, parse_time(told["iat"], field="iat"))

    def signed_by(self, key: SigningKey) -> HubAct:
        """The same with one more signature. Raises: Conflict when this key has signed already."""
        if any(item.kid == key.public.kid for item in self.signed.signatures):
            raise Conflict("this operator has signed the proposal already")
        added = jws.sign(self.signed.payload, TYP, [key]).signatures
        return replace(self, signed=Signed(self.signed.payload, (*self.signed.signatures, *added)))

    def require(
        self,
        governance: Governance,
        *,
        origin: str,
        act: str,
        expected: Mapping[str, JsonValue],
        now: datetime,
    ) -> list[str]:
        """That k operators signed this very act, not long ago; their names. `expected`: members it must have.

        Raises: KidUnknown, SigInvalid, OriginMismatch, SenderMismatch (too few), Conflict (another act).
        """
        for item in self.signed.signatures:
            if governance.key(item.kid) is None:
                raise KidUnknown("signature: not a key of an operator", field="kid")
        kids = jws.verify(self.signed, TYP, origin=origin, key_for=governance.key)
        told = self._told()
        if told["act"] != act or any(told.get(name) != value for name, value in expected.items()):
            raise Conflict("the operators have signed another move, or one that is done already")
        age = now - parse_time(told["iat"], field="iat")
        if not -timedelta(minutes=5) <= age <= SIGNED_WITHIN:
            raise Conflict("the act was signed more than 30 days ago, or in a time to come", field="iat")
        if len(set(kids)) < governance.k:
            raise SenderMismatch("signatures: fewer operators than must sign", rule="D08-quorum")
        names = {operator.kid: operator.name for operator in governance.operators}
        return [names[signer] for signer in kids]

    def write(self, path: Path, *, replace_file: bool) -> None:
        """Write the file. Raises: Conflict when it exists and may not be replaced; StorageFull, OSError."""
        with durable_file(path, replace=replace_file) as file:
            file.write(self.signed.to_bytes() + b"\n")

    def _told(self, act: str | None = None) -> dict[str, JsonValue]:
        told = decode(self.signed.payload, limit=LIMITS.event_bytes)
        members = _MEMBERS.get(f"{told.get('act')}")
        if set(told) != members or told["typ"] != TYP or told["v"] != _VERSION:
            raise Malformed("the file is not an act that operators sign", field="typ")
        if act is not None and told["act"] != act:
            raise Malformed("the file is another act that operators sign", field="act")
        return told


def read_act(path: Path) -> HubAct:
    """Read an act of the hub. Raises: Malformed."""
    found = read_signable(path)
    if not isinstance(found, HubAct):
        raise Malformed(f"{path.name} is not an act that operators sign")
    return found


def read_signable(path: Path) -> Proposal | HubAct:
    """Read what an operator may be asked to sign: a proposal, or an act of the hub. Raises: Malformed."""
    with path.open("rb") as file:
        data = file.read(LIMITS.signed_object_bytes + 1).removesuffix(b"\n")
    members = decode(data, limit=2 * LIMITS.signed_object_bytes)
    if set(members) == {"payload", "signatures"}:
        found = HubAct(Signed.from_json(members, LIMITS.event_bytes))
        found.facts()
        return found
    return Proposal.read(path)
