"""The key directory for people: who takes part, with which keys; all from the verified own copy."""

from __future__ import annotations

from dataclasses import dataclass

from exchange.directory.state import DirectoryState
from exchange_schemas.agreement import SharingAgreement
from exchange_schemas.codec import format_time
from exchange_schemas.errors import RecipientDenied
from exchange_schemas.ids import check_agency


@dataclass(frozen=True, slots=True)
class AgencyInfo:
    """One agency as the directory shows it."""

    agency: str
    name: str
    kind: str
    country: str
    public_authority: bool
    contact: str
    status: str


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """One key of an agency. `expires` is a time, or empty for a root key."""

    use: str
    alg: str
    kid: str
    status: str
    expires: str


def agencies(state: DirectoryState) -> list[AgencyInfo]:
    """Every agency, by its id."""
    return [
        AgencyInfo(
            one.agency, one.name, one.kind, one.country, one.public_authority, one.contact, str(one.status)
        )
        for _, one in sorted(state.agencies.items())
    ]


def agreements(state: DirectoryState, kinds: tuple[str, str] | None) -> tuple[int, list[SharingAgreement]]:
    """The version in force and its agreements; those from the first kind to the second alone if given."""
    signed = state.agreements
    if signed is None:
        return 0, []
    return signed.version, [
        one for one in signed.agreements if kinds is None or (kinds[0] in one.snd and kinds[1] in one.rcp)
    ]


def keys_of(state: DirectoryState, agency: str) -> list[KeyInfo]:
    """The keys of an agency, those in use first. Raises: RecipientDenied when there is no such agency."""
    found = state.agency(check_agency(agency, field="agency"))
    if found is None:
        raise RecipientDenied("the key directory has no agency of this name", field="agency")
    keys = [
        KeyInfo(
            one.use,
            one.public.alg,
            one.kid,
            str(one.status),
            "" if one.exp is None else format_time(one.exp),
        )
        for one in found.keys.values()
    ]
    return sorted(keys, key=lambda key: (key.status != "active", key.use, key.kid))
