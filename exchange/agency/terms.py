"""The terms of a consent before it is one: what a person decides, and the holder's rules about it.

Pure. The rules, each with a permanent tag:
  S06-adult      18 or older: the basis for the child's data is the person's own consent
  S07-guardian   a child without a guardian: the basis is a best-interests decision, not consent
  S08-decision   basis best_interests_decision: the decision for it stands in the record and still holds
  S09-ninety     a found notice or sighting, before a match: 90 days at most, renewable
  S10-majority   a child's consent ends at the 18th birthday at the latest, as far as known
  S11-vital      vital interest lasts 72 hours at most
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from exchange.agency.ages import age_of, earliest_day
from exchange.agency.release import DECISION, decided
from exchange.consent.decision import VITAL_INTEREST_MOST
from exchange_schemas.catalogue import Catalogue
from exchange_schemas.codec import JsonValue
from exchange_schemas.consent import VITAL_INTEREST
from exchange_schemas.errors import AuthorityMissing, Malformed, NotPermitted
from exchange_schemas.limits import LIMITS

CHILD = "child"
CHILD_REF = "child_ref"
BEFORE_MATCH = ("found_notice", "sighting")
BEFORE_MATCH_MOST = timedelta(days=90)
# From nbf, which lies two minutes back.
VITAL_MOST = VITAL_INTEREST_MOST - LIMITS.clock_leeway


@dataclass(frozen=True, slots=True)
class Terms:
    """What an approver decides for one recipient.

    `fields` by name, or all of the record that `kind` takes and the purposes allow. `basis` for every
    subject, or `bases` for child, relative, caregiver apart. `evidence` says where the evidence lies; it
    stays here, a salted digest leaves. `screening` is cleared or not_required. It lasts for `lasts` or
    until `until`. `after`: the two match confirmations that must come before.
    """

    purposes: Sequence[str]
    evidence: str
    fields: Sequence[str] = ()
    kind: str | None = None
    basis: str | None = None
    bases: Mapping[str, str] = field(default_factory=dict)
    screening: str = "not_required"
    screening_evidence: str | None = None
    lasts: timedelta = BEFORE_MATCH_MOST
    until: datetime | None = None
    retention_days: int = 365
    thread: str | None = None
    after: tuple[str, str] | None = None
    supersedes: str | None = None


def fields_of(terms: Terms, offered: Collection[str], catalogue: Catalogue) -> tuple[str, ...]:
    """The consent's fields, sorted: the named ones, or what the kind takes of those that are offered.

    Raises: FieldDenied (unknown name), Malformed (unknown kind, or nothing is left).
    """
    if terms.fields:
        names = {catalogue.field(name).name for name in terms.fields}
    elif terms.kind is not None:
        allowed = catalogue.kind(terms.kind).allowed
        names = {name for name in offered if name in allowed and _fits(terms, name, catalogue)}
    else:
        raise Malformed("fields: name them, or the kind of message they are for", field="fields")
    if basis_for(terms, CHILD) is not None and (
        terms.kind is None or terms.fields or _takes_ref(terms, catalogue)
    ):
        names.add(CHILD_REF)
    if not names and not _needs_no_field(terms, catalogue):
        raise Malformed("fields: the record has none that this kind takes for this purpose", field="fields")
    return tuple(sorted(names))


def _takes_ref(terms: Terms, catalogue: Catalogue) -> bool:
    return terms.kind is not None and CHILD_REF in catalogue.kind(terms.kind).allowed


def _needs_no_field(terms: Terms, catalogue: Catalogue) -> bool:
    """Whether the kind speaks about a child without carrying a field of the record (a match answer)."""
    if terms.kind is None:
        return False
    needed = {name for need in catalogue.kind(terms.kind).needs for group in need for name in group}
    return needed.isdisjoint(catalogue.fields)


def _fits(terms: Terms, name: str, catalogue: Catalogue) -> bool:
    spec = catalogue.field(name)
    if spec.stage == "match_confirmed" and terms.after is None:
        return False
    covered = all(basis_for(terms, about) is not None for about in spec.about)
    return covered and not spec.purposes.isdisjoint(terms.purposes)


def basis_for(terms: Terms, about: str) -> str | None:
    """The basis for a subject's data, or None."""
    return terms.bases.get(about, terms.basis)


def subjects_of(names: Sequence[str], catalogue: Catalogue) -> tuple[str, ...]:
    """Whom the fields are about, sorted."""
    return tuple(sorted({about for name in names for about in catalogue.field(name).about}))


def check_basis(
    terms: Terms, names: Sequence[str], record: Mapping[str, JsonValue], today: date, catalogue: Catalogue
) -> None:
    """Rules S06 to S08, and a basis for every subject. Raises: AuthorityMissing, NotPermitted."""
    for about in subjects_of(names, catalogue):
        if basis_for(terms, about) is None:
            raise AuthorityMissing(
                f"{about}: no basis is given for this subject's data",
                field=about,
                rule="C13-authority",
                hint=f"give one with --basis {about}=BASIS",
            )
    basis = basis_for(terms, CHILD)
    if age_of(record, today).adult:
        if basis not in (None, "consent"):
            raise NotPermitted(
                "18 or older: only the person's own consent counts", rule="S06-adult", field="basis"
            )
        return
    guardian = record.get("guardian_status")
    if basis == "consent" and isinstance(guardian, dict) and guardian.get("status") == "none":
        raise NotPermitted(
            "a child without a guardian needs a best-interests decision", rule="S07-guardian", field="basis"
        )
    if basis == DECISION and decided(record, today) in (None, "against", "deferred"):
        raise NotPermitted(
            "no best-interests decision for it that still holds stands in the record",
            rule="S08-decision",
            field=DECISION,
            hint="record it first: `exchange-agency record decision`",
        )


def expiry(terms: Terms, record: Mapping[str, JsonValue], now: datetime) -> datetime:
    """When the consent ends: the earliest of what was asked for and rules S09 to S11, and of the decision.

    Raises: NotPermitted when nothing is left, or S09 and S11 are exceeded.
    """
    wanted = now + terms.lasts if terms.until is None else terms.until
    if terms.kind in BEFORE_MATCH and wanted - now > BEFORE_MATCH_MOST + timedelta(days=1):
        raise NotPermitted("before a match a consent lasts 90 days at most", rule="S09-ninety", field="exp")
    bases = {terms.basis, *terms.bases.values()}
    if VITAL_INTEREST in bases:
        wanted = min(wanted, now + VITAL_MOST)
    ends = [wanted]
    age = age_of(record, now.date())
    if age.majority is not None:
        ends.append(_start_of(age.majority))
    if basis_for(terms, CHILD) == DECISION:
        ends += _decision_end(record)
    end = min(ends)
    if end <= now:
        raise NotPermitted(
            "nothing is left of the time: the 18th birthday, the decision or the asked day has passed",
            rule="S10-majority",
            field="exp",
        )
    return end.replace(microsecond=0)


def _decision_end(record: Mapping[str, JsonValue]) -> list[datetime]:
    decision = record.get(DECISION)
    until = decision.get("valid_until") if isinstance(decision, dict) else None
    return [_start_of(earliest_day(until) + timedelta(days=1))] if isinstance(until, str) else []


def _start_of(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)
