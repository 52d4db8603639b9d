"""A weighty act of the hub itself that several operators must sign: the change of a log's key.

The statement names the very key that is replaced, so that a signed file is good for one move and no other.
What it does is read from the signed bytes. Nothing here may do the act.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from exchange.directory.enrolment import fingerprint
from exchange.directory.state import Governance
from exchange.hub.admin.proposal import Proposal
from exchange_keys import jws
from exchange_keys.durable import durable_file
from exchange_keys.jws import Signed
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import JsonValue, decode, encode, format_time
from exchange_schemas.errors import Conflict, KidUnknown, Malformed, SenderMismatch
from exchange_schemas.ids import Digest, Kid, check_kid
from exchange_schemas.limits import LIMITS

TYP: Final = "hx-hubact"
BEGIN: Final = "begin"
FINISH: Final = "finish"
_VERSION: Final = 1
_MEMBERS: Final = {"v", "typ", "origin", "act", "kind", "move", "kid", "iat"}


@dataclass(frozen=True, slots=True)
class LogKeyAct:
    """`move` the log `kind` away from its present key `kid`."""

    origin: str
    kind: str
    move: str
    kid: Kid
    iat: datetime

    def to_bytes(self) -> bytes:
        """The payload."""
        return encode(
            {
                "v": _VERSION,
                "typ": TYP,
                "origin": self.origin,
                "act": "log-key",
                "kind": self.kind,
                "move": self.move,
                "kid": self.kid,
                "iat": format_time(self.iat),
            }
        )


@dataclass(frozen=True, slots=True)
class HubAct:
    """A statement and its signatures so far."""

    signed: Signed

    @classmethod
    def begin(cls, act: LogKeyAct, key: SigningKey) -> HubAct:
        """The statement with its first signature."""
        return cls(jws.sign(act.to_bytes(), TYP, [key]))

    @property
    def signatures(self) -> int:
        """How many have signed."""
        return len(self.signed.signatures)

    def facts(self) -> dict[str, JsonValue]:
        """The act in words, from its signed bytes. Raises: Malformed."""
        told = self._told()
        kid = check_kid(told["kid"], field="kid")
        return {
            "event": f"log-key {told['move']}",
            "origin": told["origin"],
            "log": told["kind"],
            "replaces": fingerprint(Digest(kid)),
            "signed_at": told["iat"],
        }

    def signed_by(self, key: SigningKey) -> HubAct:
        """The same with one more signature. Raises: Conflict when this key has signed already."""
        if any(item.kid == key.public.kid for item in self.signed.signatures):
            raise Conflict("this operator has signed the proposal already")
        added = jws.sign(self.signed.payload, TYP, [key]).signatures
        return replace(self, signed=Signed(self.signed.payload, (*self.signed.signatures, *added)))

    def require(self, governance: Governance, *, origin: str, kind: str, move: str, kid: Kid) -> list[str]:
        """That k operators signed this very move; their names.

        Raises: KidUnknown, SigInvalid, OriginMismatch, SenderMismatch (too few), Conflict (another move).
        """
        for item in self.signed.signatures:
            if governance.key(item.kid) is None:
                raise KidUnknown("signature: not a key of an operator", field="kid")
        kids = jws.verify(self.signed, TYP, origin=origin, key_for=governance.key)
        told = self._told()
        if (told["kind"], told["move"], told["kid"]) != (kind, move, kid):
            raise Conflict("the operators have signed another move, or one that is done already")
        if len(set(kids)) < governance.k:
            raise SenderMismatch("signatures: fewer operators than must sign", rule="D08-quorum")
        names = {operator.kid: operator.name for operator in governance.operators}
        return [names[signer] for signer in kids]

    def write(self, path: Path, *, replace_file: bool) -> None:
        """Write the file. Raises: Conflict when it exists and may not be replaced; StorageFull, OSError."""
        with durable_file(path, replace=replace_file) as file:
            file.write(self.signed.to_bytes() + b"\n")

    def _told(self) -> dict[str, JsonValue]:
        told = decode(self.signed.payload, limit=LIMITS.event_bytes)
        if set(told) != _MEMBERS or told["typ"] != TYP or told["v"] != _VERSION:
            raise Malformed("the file is not an act that operators sign", field="typ")
        return told


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
