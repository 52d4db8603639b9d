"""What each rule says when it refuses: its error code, why, and what would make the sharing lawful.

Tags are permanent. No text here may hold a value of a record, a subject or an identifier.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from exchange.consent.values import Decision, Deny
from exchange_schemas.errors import error_for

# rule: (code, why it is refused, what would make it lawful)
RULES: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        "C01-unknown": (
            "CONSENT_UNKNOWN",
            "no such consent is known",
            "a consent of the sender to the recipient",
        ),
        "C02-origin": (
            "ORIGIN",
            "the consent was made for another deployment",
            "a consent made for this one",
        ),
        "C03-issuer": (
            "SENDER_MISMATCH",
            "the consent is not the sender's",
            "a consent that the sender issued",
        ),
        "C04-recipient": (
            "RECIPIENT_DENIED",
            "the consent is for another recipient",
            "a consent for this one",
        ),
        "C05-withdrawn": (
            "CONSENT_WITHDRAWN",
            "the consent is withdrawn",
            "a new decision and a new consent",
        ),
        "C06-superseded": (
            "CONSENT_SUPERSEDED",
            "a newer consent does not allow it",
            "a grant under the newest",
        ),
        "C07-time": ("CONSENT_EXPIRED", "the consent is not valid at this time", "a consent valid now"),
        "C08-subject": (
            "SUBJECT_MISMATCH",
            "the consent is about another child",
            "a consent about this child",
        ),
        "C09-thread": ("CONSENT_MISMATCH", "the consent is for another thread", "the thread that it names"),
        "C10-purpose": (
            "PURPOSE_DENIED",
            "not a purpose of the consent or the kind",
            "a consent for the purpose",
        ),
        "C11-field": ("FIELD_DENIED", "not in the consent", "leaving it out, or a consent with it"),
        "C12-field-purpose": ("PURPOSE_DENIED", "not for this purpose", "leaving it out"),
        "C13-authority": (
            "AUTHORITY_MISSING",
            "its subject gave no authority",
            "an authority for its subject",
        ),
        "C14-third-country": (
            "AUTHORITY_MISSING",
            "a public authority cannot rest this on consent",
            "another basis",
        ),
        "C15-vital-interest": (
            "AUTHORITY_MISSING",
            "vital interest lasts 72 hours",
            "another basis, or a shorter time",
        ),
        "C16-screening": ("SCREENING_DENIED", "protection screening is not cleared", "a cleared screening"),
        "C17-kind": (
            "FIELD_DENIED",
            "not what this kind of message carries",
            "adding what it needs, and leaving out the rest",
        ),
        "C18-stage": (
            "STAGE_DENIED",
            "both sides must have confirmed the match",
            "both confirmations in `after`",
        ),
        "C19-one-recipient": ("FIELD_DENIED", "for one recipient only", "leaving it out of the other grants"),
        "C20-policy": (
            "POLICY_DENIED",
            "no sharing agreement of the operators allows it",
            "a new version of the sharing agreements, signed by the operators",
        ),
        "C21-approvers": ("AUTHORITY_MISSING", "too few approvers signed", "two persons, for vital interest"),
        "C22-named": (
            "CONSENT_MISMATCH",
            "the grant names another consent",
            "the consent that the grant names",
        ),
        "C23-detention": ("STAGE_DENIED", "the relation is not verified yet", "a verified relation"),
        "C24-role": (
            "SENDER_MISMATCH",
            "not for this side of the consent to send",
            "the other side sends it: the issuer asks for deletion, the recipient answers",
        ),
    }
)


def deny(rule: str, field: str | None = None, *, why: str | None = None, unless: str | None = None) -> Deny:
    """The denial of a rule. `why`: instead of its own reason; `unless`: what else would make it lawful."""
    code, reason, remedy = RULES[rule]
    said = reason if why is None else why
    lawful = remedy if unless is None else f"{unless}, or {remedy}"
    return Deny(code, rule, said if field is None else f"{field}: {said}", lawful, field)


def first_field(rule: str, fields: Iterable[str]) -> Deny | None:
    """A denial that names the first of `fields` by name, whatever their order; None when there are none."""
    name = min(fields, default=None)
    return None if name is None else deny(rule, name)


def enforce(decision: Decision) -> None:
    """Raise what a denial says.

    Raises: the error class of the code, with rule, field, reason as its message and remedy as its hint.
    """
    if isinstance(decision, Deny):
        error = error_for(decision.code)
        raise error(decision.reason, field=decision.field, rule=decision.rule, hint=decision.remedy)
