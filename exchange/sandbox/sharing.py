"""How an invented agency shares a record: a decision, a consent for each recipient, a found notice."""

from datetime import timedelta

from exchange.agency import Client, Record
from exchange.agency.terms import Terms
from exchange.sandbox.members import COMMISSION, EMBASSY

FOR = {
    COMMISSION.id: (
        *("child_ref", "name_given", "name_family", "names_other", "sex", "age_range", "current_area"),
        *("languages", "photo"),
    ),
    EMBASSY.id: ("child_ref", "name_given", "sex", "age_range", "current_area"),
}
"""The fields of a found notice that each recipient gets, where the record has them."""


def decide(client: Client, record: Record) -> Record:
    """Record the best-interests decision without which nothing about a child is shared."""
    panel = f"case panel, {client.session.profile.name}"
    return client.records.decide(record.ref, procedure="bia", outcome="for_sharing", body=panel)


def consent(client: Client, record: Record, to: str) -> tuple[str, tuple[str, ...]]:
    """Consent to a found notice for one recipient: the consent's id and its fields."""
    names = tuple(sorted(name for name in FOR[to] if name == "child_ref" or name in record.fields))
    terms = Terms(
        purposes=("trace",),
        evidence="minutes of the case panel",
        fields=names,
        kind="found_notice",
        basis="best_interests_decision",
        screening="cleared",
        screening_evidence="protection screening, signed by two",
        lasts=timedelta(days=60),
    )
    return client.consents.grant(record.ref, to=to, terms=terms).cid, names
