"""What the own copy of the directory says of an agency, in the form that the consent rules take."""

from __future__ import annotations

from exchange.consent import NO_POLICY, Party, Policy
from exchange.directory.state import AgencyState, AgencyStatus, DirectoryState
from exchange_schemas.errors import RecipientDenied
from exchange_schemas.ids import AgencyId


def party_of(state: DirectoryState, agency: AgencyId) -> Party:
    """The agency as a party. Raises: RecipientDenied when the directory has no such active agency."""
    found = active_agency(state, agency)
    return Party(found.agency, found.kind, found.country, found.public_authority)


def policy_of(state: DirectoryState) -> Policy:
    """The sharing agreements in force, as the operators signed them."""
    signed = state.agreements
    return NO_POLICY if signed is None else Policy.of(signed.version, signed.agreements)


def active_agency(state: DirectoryState, agency: AgencyId) -> AgencyState:
    """The agency's state. Raises: RecipientDenied when it is not there, suspended or expelled."""
    found = state.agency(agency)
    if found is None:
        raise RecipientDenied(
            "the key directory has no agency of this name",
            field="rcp",
            hint="see `exchange-agency directory show`, or run `exchange-agency directory sync`",
        )
    if found.status is not AgencyStatus.ACTIVE:
        raise RecipientDenied(f"the agency is {found.status}: nothing may be sent to it", field="rcp")
    return found
