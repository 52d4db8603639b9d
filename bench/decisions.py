"""One consent decision, as sender, hub and recipient make it: every rule over a message with all 44 fields.

No purpose of the catalogue serves all fields, so the bench's own copy of it lets every purpose serve every
field: a decision that is refused half way would measure half of the rules. The largest message of the real
catalogue is told beside it, and a consent that was superseded, where the rules run twice.
"""

import statistics
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from bench.table import Row
from bench.timing import in_turn
from exchange.consent import (
    Allow,
    Confirmation,
    ConsentStanding,
    Decision,
    Party,
    Policy,
    ShareRequest,
    Status,
    decide,
)
from exchange_schemas.agreement import SharingAgreement
from exchange_schemas.catalogue import Catalogue, load_catalogue
from exchange_schemas.consent import Authority, Consent, ConsentRecord, Screening
from exchange_schemas.ids import AgencyId, ConsentId, Digest, EnvelopeId, FamilyId, ThreadId

ORIGIN: Final = "bench.example"
NOW: Final = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
NGO: Final = Party(AgencyId("ngo-a"), "ngo", "DE", False)
EMBASSY: Final = Party(AgencyId("embassy-a"), "embassy", "JO", True)
DIGEST: Final = Digest("D" * 42 + "A")
THREAD: Final = ThreadId("t" * 21 + "A")
ONE, TWO = EnvelopeId("1" * 21 + "A"), EnvelopeId("2" * 21 + "A")
PURPOSE: Final = "verify"
AIM_US: Final = 20.0


def rows() -> list[Row]:
    """Microseconds of CPU for one decision."""
    real = load_catalogue()
    widened = {name: replace(spec, purposes=frozenset(real.purposes)) for name, spec in real.fields.items()}
    wide = replace(real, fields=widened)
    largest = tuple(name for name, spec in real.fields.items() if PURPOSE in spec.purposes)
    whole = tuple(wide.fields)
    newest = replace(_consent(whole), cid=ConsentId("n" * 21 + "A"))
    works = {
        "decision-44-us": _deciding(wide, whole, ConsentStanding()),
        "decision-real-us": _deciding(real, largest, ConsentStanding()),
        "decision-superseded-us": _deciding(wide, whole, ConsentStanding(Status.SUPERSEDED, newest)),
    }
    notes = (
        "44 fields, all rules, an agreement and both confirmations; CPU",
        f"the {len(largest)} fields that '{PURPOSE}' serves",
        "44 fields under a superseded consent: the rules twice",
    )
    times = in_turn(list(works.values()), rounds=15, inner=2000)
    figures = [statistics.median(found) * 1e6 for found in times]
    aims = (AIM_US, None, None)
    return [
        Row(name, figure, "µs", aim, higher_is_better=False, note=note)
        for name, figure, aim, note in zip(works, figures, aims, notes, strict=True)
    ]


def _deciding(
    catalogue: Catalogue, names: tuple[str, ...], standing: ConsentStanding
) -> Callable[[], Decision]:
    asked = ShareRequest(
        origin=ORIGIN,
        kind="information_response",
        sender=NGO.agency,
        recipient=EMBASSY.agency,
        purpose=PURPOSE,
        fields=names,
        thread=THREAD,
        subj=DIGEST,
        cns=DIGEST,
    )
    consent = _consent(tuple(catalogue.fields))
    confirmed = _confirmations()
    policy = _policy(catalogue)

    def work() -> Decision:
        return decide(
            asked,
            consent,
            standing,
            EMBASSY,
            NOW,
            catalogue,
            sender=NGO,
            confirmations=confirmed,
            policy=policy,
        )

    if work() != Allow():
        raise SystemExit("bench: the decision must be allowed, or half of the rules is measured")
    return work


def _consent(names: tuple[str, ...]) -> Consent:
    return Consent(
        origin=ORIGIN,
        cid=ConsentId("c" * 21 + "A"),
        family=FamilyId("f" * 21 + "A"),
        iss=NGO.agency,
        rcp=EMBASSY.agency,
        pur=(PURPOSE,),
        fields=tuple(sorted(names)),
        authorities=tuple(
            Authority(about=about, basis="public_task", evidence_digest=DIGEST)
            for about in ("caregiver", "child", "relative")
        ),
        screening=Screening(state="cleared", evidence_digest=DIGEST),
        nbf=NOW - timedelta(days=1),
        exp=NOW + timedelta(days=30),
        retention_days=90,
        subj=DIGEST,
        iat=NOW - timedelta(days=1),
        record=ConsentRecord(schema_version="1"),
        after=(ONE, TWO),
    )


def _confirmations() -> dict[EnvelopeId, Confirmation]:
    kind, here, there = "match_confirmation", NGO.agency, EMBASSY.agency
    return {
        ONE: Confirmation(ONE, kind, here, there, THREAD, None, "same_child"),
        TWO: Confirmation(TWO, kind, there, here, THREAD, ONE, "same_child"),
    }


def _policy(catalogue: Catalogue) -> Policy:
    return Policy.of(
        1,
        [SharingAgreement(snd=("ngo",), rcp=("embassy",), pur=(PURPOSE,), fields=tuple(catalogue.fields))],
    )
