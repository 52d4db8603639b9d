"""The state of a directory as JSON members, for a client's local file (`DirectoryLog.to_bytes`).

It holds public data, but whoever can change it chooses the keys that records are sealed to: it must be
stored sealed (`exchange_keys.box`) and never be taken from anybody else. Reading checks its form and
computes every kid from its key; it does not replay the log.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from exchange.directory.state import (
    AgencyState,
    AgencyStatus,
    Agreements,
    DirectoryState,
    Governance,
    KeyState,
    KeyStatus,
)
from exchange.log.tree import HASH_BYTES, Frontier
from exchange_keys.public import PublicKey
from exchange_keys.registration import ALGS_OF_USE
from exchange_schemas.agreement import SharingAgreement, SharingAgreementSchema
from exchange_schemas.codec import MAX_INT, Encodable, b64u, format_time
from exchange_schemas.errors import Malformed
from exchange_schemas.event import Operator, OperatorSchema
from exchange_schemas.ids import AgencyId, Digest, Kid
from exchange_schemas.limits import LIMITS
from exchange_schemas.members import (
    Code,
    Flag,
    ListOf,
    Octets,
    Text,
    Time,
    Whole,
    agency,
    country,
    digest,
    origin,
)
from exchange_schemas.payload import Object, StrictSchema, write_members

_MANY: Final = 10**6


class KeySchema(StrictSchema):
    """One key; its kid is computed."""

    use = Code(ALGS_OF_USE)
    alg = Code(sorted(frozenset[str]().union(*ALGS_OF_USE.values())))
    raw = Octets(most=2048)
    status = Code([str(status) for status in KeyStatus])
    nbf = Time(required=False)
    exp = Time(required=False)
    until = Time(required=False)
    holder = Text(chars=LIMITS.name_chars, required=False)


class AgencySchema(StrictSchema):
    """One agency with its keys."""

    agency = agency()
    name = Text(chars=LIMITS.name_chars)
    kind = Text(chars=40)
    country = country()
    public_authority = Flag()
    contact = Text(chars=LIMITS.contact_chars)
    status = Code([str(status) for status in AgencyStatus])
    standing_since = Time()
    root = digest()
    keys = ListOf(Object(KeySchema, dict), most=_MANY)


class GovernanceSchema(StrictSchema):
    """The operators."""

    k = Whole(1, LIMITS.operators_per_deployment)
    since = Time()
    operators = ListOf(Object(OperatorSchema, Operator), least=1, most=LIMITS.operators_per_deployment)


class AgreementsSchema(StrictSchema):
    """The sharing agreements."""

    version = Whole(1, MAX_INT)
    agreements = ListOf(Object(SharingAgreementSchema, SharingAgreement), most=LIMITS.agreements_per_event)


class StateSchema(StrictSchema):
    """The whole state."""

    origin = origin()
    pin = digest(required=False)
    size = Whole(0, MAX_INT)
    frontier = Octets(most=64 * HASH_BYTES, required=False)
    governance = Object(GovernanceSchema, Governance, required=False)
    agencies = ListOf(Object(AgencySchema, dict), most=_MANY)
    agreements = Object(AgreementsSchema, Agreements, required=False)


def write_state(state: DirectoryState) -> dict[str, Encodable]:
    """The members of a state; `read_state` gives an equal one back."""
    return _present(
        {
            "origin": state.origin,
            "pin": state.pin,
            "size": state.size,
            "frontier": b64u(state.frontier.to_bytes()) if state.size else None,
            "governance": None if state.governance is None else _write_governance(state.governance),
            "agencies": [_write_agency(item) for item in state.agencies.values()],
            "agreements": None if state.agreements is None else _write_agreements(state.agreements),
        }
    )


def read_state(
    *,
    origin: str,
    size: int,
    agencies: tuple[dict[str, Any], ...],
    pin: Digest | None = None,
    frontier: bytes = b"",
    governance: Governance | None = None,
    agreements: Agreements | None = None,
) -> DirectoryState:
    """The state of the checked members of `StateSchema`.

    Raises: Malformed when they contradict each other.
    """
    found = {item["agency"]: _read_agency(**item) for item in agencies}
    owners = {kid: name for name, state in found.items() for kid in state.keys}
    if len(found) != len(agencies) or len(owners) != sum(len(item["keys"]) for item in agencies):
        raise Malformed("agencies: an agency or a key stands there twice", field="agencies")
    return DirectoryState(
        origin=origin,
        pin=pin,
        governance=governance,
        agencies=MappingProxyType(found),
        owners=MappingProxyType(owners),
        frontier=Frontier.from_bytes(frontier, size=size),
        agreements=agreements,
    )


# -- writing -------------------------------------------------------------------------------------------


def _present(members: Mapping[str, Encodable]) -> dict[str, Encodable]:
    return {name: value for name, value in members.items() if value is not None}


def _time(when: datetime | None) -> str | None:
    return None if when is None else format_time(when)


def _write_governance(governance: Governance) -> dict[str, Encodable]:
    operators = [{"name": item.name, "kid": item.kid, "key": b64u(item.key)} for item in governance.operators]
    return {"k": governance.k, "since": format_time(governance.since), "operators": operators}


def _write_agreements(agreements: Agreements) -> dict[str, Encodable]:
    return write_members(AgreementsSchema, agreements)


def _write_agency(state: AgencyState) -> dict[str, Encodable]:
    return {
        "agency": state.agency,
        "name": state.name,
        "kind": state.kind,
        "country": state.country,
        "public_authority": state.public_authority,
        "contact": state.contact,
        "status": str(state.status),
        "standing_since": format_time(state.standing_since),
        "root": state.root,
        "keys": [_write_key(key) for key in state.keys.values()],
    }


def _write_key(key: KeyState) -> dict[str, Encodable]:
    return _present(
        {
            "use": key.use,
            "alg": key.public.alg,
            "raw": b64u(key.public.raw),
            "status": str(key.status),
            "nbf": _time(key.nbf),
            "exp": _time(key.exp),
            "until": _time(key.until),
            "holder": key.holder,
        }
    )


# -- reading -------------------------------------------------------------------------------------------


def _read_agency(agency: AgencyId, status: str, keys: tuple[dict[str, Any], ...], **rest: Any) -> AgencyState:
    found = (_read_key(agency, **key) for key in keys)
    by_kid: Mapping[Kid, KeyState] = MappingProxyType({key.kid: key for key in found})
    return AgencyState(agency=agency, status=AgencyStatus(status), keys=by_kid, **rest)


def _read_key(agency: AgencyId, alg: str, raw: bytes, status: str, **rest: Any) -> KeyState:
    public = PublicKey(alg, raw)
    return KeyState(kid=public.kid, agency=agency, public=public, status=KeyStatus(status), **rest)
