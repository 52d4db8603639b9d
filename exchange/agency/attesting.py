"""Who arranges the release of detained parents and children, as an approver of this agency attests.

A holder attests its partner, a recipient itself: both programs ask before care in detention is told earlier
than the relation is verified (rule C23). It stands in this store alone; the hub never hears of it.
"""

from __future__ import annotations

from exchange.agency.parties import party_of
from exchange.consent.decision import SCREENED_KINDS
from exchange.member.session import Session
from exchange.member.store import Store
from exchange_schemas.codec import format_time
from exchange_schemas.errors import NotPermitted
from exchange_schemas.ids import AgencyId

_COLLECTION = "attested"


def attest(session: Session, agency: AgencyId, *, evidence: str) -> None:
    """Attest that an agency is the authority that arranges release; needs an approver.

    Raises: NotPermitted (a caseworker; an agency that is no public authority), RecipientDenied.
    """
    session.require_approver()
    party = party_of(session.directory.state(), agency)
    if not (party.public_authority or party.kind in SCREENED_KINDS):
        raise NotPermitted(
            "only a public authority, an embassy or a court arranges release",
            field="agency",
            rule="attest-authority",
        )
    when = format_time(session.now())
    session.store.put(_COLLECTION, agency, {"evidence": evidence, "by": session.user, "when": when})


def lift(session: Session, agency: AgencyId) -> None:
    """Take an attestation back; anybody may. What was told is told."""
    session.store.delete(_COLLECTION, agency)


def arranges_release(store: Store, agency: AgencyId) -> bool:
    """Whether an approver of this agency has attested it."""
    return store.get(_COLLECTION, agency) is not None
