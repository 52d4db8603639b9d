"""The dry run of a decision: what would this agency receive, and why not the rest? Pure.

Each part is decided by itself, then a message of exactly the parts that pass. It promises nothing: a later
withdrawal, or a content that does not fit, still refuses what a dry run allowed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from exchange.consent.decision import decide
from exchange.consent.values import (
    NO_POLICY,
    Confirmation,
    ConsentStanding,
    Decision,
    Deny,
    Party,
    Policy,
    ShareRequest,
    Side,
)
from exchange_schemas.catalogue import Catalogue
from exchange_schemas.consent import Consent
from exchange_schemas.ids import EnvelopeId


@dataclass(frozen=True, slots=True)
class Preview:
    """`given`: what would go, sorted. `withheld`: every other name with what refuses it, sorted by name.

    `whole`: the decision on a message of exactly `given`; a Deny when the kind needs more than that.
    """

    given: tuple[str, ...]
    withheld: tuple[tuple[str, Deny], ...]
    whole: Decision


def preview(  # noqa: PLR0917 - as `decide`
    request: ShareRequest,
    consent: Consent | None,
    standing: ConsentStanding,
    recipient: Party,
    now: datetime,
    catalogue: Catalogue,
    *,
    sender: Party,
    confirmations: Mapping[EnvelopeId, Confirmation],
    side: Side = Side.HUB,
    policy: Policy = NO_POLICY,
) -> Preview:
    """What `decide` would give of `request.fields`, part by part and as a whole; it never raises."""
    ask = partial(
        decide,
        consent=consent,
        standing=standing,
        recipient=recipient,
        now=now,
        catalogue=catalogue,
        sender=sender,
        side=side,
        confirmations=confirmations,
        policy=policy,
    )
    names = sorted(set(request.fields))
    decided = {name: ask(replace(request, fields=(name,)), whole=False) for name in names}
    withheld = tuple((name, found) for name, found in decided.items() if isinstance(found, Deny))
    given = tuple(name for name, found in decided.items() if not isinstance(found, Deny))
    return Preview(given, withheld, ask(replace(request, fields=given)))
