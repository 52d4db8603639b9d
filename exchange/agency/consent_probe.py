"""Would the consent rules allow anything under this consent? Asked before it is signed and registered.

A consent that could never be used (no screening for an embassy, consent as a basis for a public authority
abroad) is an error at the approver's desk, not a week later at the hub.
"""

from __future__ import annotations

from datetime import datetime

from exchange.consent import Confirmation, ConsentStanding, Party, Policy, ShareRequest, Side, decide, enforce
from exchange_schemas.catalogue import Catalogue
from exchange_schemas.consent import Consent
from exchange_schemas.errors import PurposeDenied
from exchange_schemas.ids import EnvelopeId, ThreadId

# A kind that may carry any field: what is asked is about the consent, not about a kind of message.
_ANY_KIND = "information_response"


def probe(
    consent: Consent,
    sender: Party,
    recipient: Party,
    *,
    now: datetime,
    catalogue: Catalogue,
    policy: Policy,
) -> None:
    """Raises: the refusing rule's error (AuthorityMissing, ScreeningDenied, PolicyDenied, ...)."""
    unused = set(consent.fields)
    for purpose in consent.pur:
        names = [name for name in consent.fields if purpose in catalogue.field(name).purposes]
        unused.difference_update(names)
        thread = ThreadId("A" * 22) if consent.thread is None else consent.thread
        request = ShareRequest(
            origin=consent.origin,
            kind=_ANY_KIND,
            sender=consent.iss,
            recipient=consent.rcp,
            purpose=purpose,
            fields=names,
            thread=thread,
            subj=consent.subj,
        )
        decision = decide(
            request,
            consent,
            ConsentStanding(),
            recipient,
            now,
            catalogue,
            sender=sender,
            side=Side.SENDER,
            confirmations=_as_if_confirmed(consent, thread),
            policy=policy,
        )
        enforce(decision)
    if unused:
        name = min(unused)
        raise PurposeDenied(
            f"{name}: may not be used for any purpose of the consent", field=name, rule="C12-field-purpose"
        )


def _as_if_confirmed(consent: Consent, thread: ThreadId) -> dict[EnvelopeId, Confirmation]:
    """The confirmations that `after` names, as they would have to be; sending looks for the real ones."""
    if consent.after is None:
        return {}
    first, second = consent.after
    return {
        first: Confirmation(
            first, "match_confirmation", consent.iss, consent.rcp, thread, None, "same_child"
        ),
        second: Confirmation(
            second, "match_confirmation", consent.rcp, consent.iss, thread, first, "same_child"
        ),
    }
