"""May this record be sent for this purpose at all? The holder's rules, before any consent is looked at.

Pure. The rules, each with a permanent tag:
  S01-withheld   the record's source forbids any sending
  S02-against    the newest best-interests decision is against sharing
  S03-age        no age is known: none may be sent until one is entered
  S04-basis      the source gives no basis: a best-interests decision for it is needed first
  S05-purpose    the source does not allow this purpose
  S06-adult      18 or older: only on the person's own consent (checked where the consent is granted)
What a source forbids stays forbidden: a decision adds a basis, it never lifts a flag.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from exchange.agency.ages import age_of, earliest_day
from exchange.agency.model import Release
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import NotPermitted

DECISION = "best_interests_decision"
_NO_BASIS = ("against", "deferred")


@dataclass(frozen=True, slots=True)
class Sendable:
    """The purposes a record may be sent for now, and the rule and reason that keep it where there are none.

    `own_consent_only`: 18 or older.
    """

    purposes: tuple[str, ...]
    rule: str | None = None
    reason: str | None = None
    own_consent_only: bool = False


def sendable(
    fields: Mapping[str, JsonValue], release: Release, today: date, purposes: tuple[str, ...]
) -> Sendable:
    """What a record may be sent for on the day `today`; `purposes` are all that the catalogue knows."""
    outcome = decided(fields, today)
    age = age_of(fields, today)
    if release.withheld is not None:
        return Sendable((), "S01-withheld", f"its source forbids any sending ({release.withheld})")
    if outcome == "against":
        return Sendable((), "S02-against", "the best-interests decision is against sharing")
    if not age.known:
        return Sendable((), "S03-age", "no age is known; enter birth_date or age_range first")
    if release.needs_basis and outcome in (None, *_NO_BASIS):
        return Sendable((), "S04-basis", "its source gives no basis; record a best-interests decision first")
    allowed = release.purposes
    if release.needs_basis and not allowed:
        allowed = purposes
    if not allowed:
        return Sendable((), "S05-purpose", "its source allows no purpose")
    return Sendable(allowed, own_consent_only=age.adult)


def require_sendable(found: Sendable, purpose: str) -> None:
    """Raises: NotPermitted with the rule when the record may not be sent for `purpose`."""
    if found.rule is not None:
        raise NotPermitted(f"the record may not be sent: {found.reason}", rule=found.rule, field="record")
    if purpose not in found.purposes:
        raise NotPermitted(
            f"the record may not be sent for the purpose {purpose}: its source does not allow it",
            rule="S05-purpose",
            field="purpose",
            hint=f"it may be sent for: {', '.join(found.purposes)}",
        )


def decided(fields: Mapping[str, JsonValue], today: date) -> str | None:
    """The outcome of a best-interests decision that still holds, else None."""
    decision = fields.get(DECISION)
    if not isinstance(decision, dict):
        return None
    outcome, until = decision.get("outcome"), decision.get("valid_until")
    if isinstance(until, str) and earliest_day(until) < today:
        return None
    return outcome if isinstance(outcome, str) else None
