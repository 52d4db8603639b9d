"""How long an agency's program may keep what it opened, its closed records, its evidence."""

from datetime import UTC, date, datetime, timedelta

import pytest

from exchange.agency.retention_rules import PROOF_DAYS, Closing, evidence_rule, message_rule, record_rule

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TODAY = NOW.date()
DAY = timedelta(days=1)


def closing(by: date, sent: datetime = NOW - DAY) -> Closing:
    return Closing(sent, by)


@pytest.mark.parametrize(
    ("keep_until", "closings", "held_until", "rule"),
    [
        (None, [], None, None),
        (NOW + timedelta(seconds=1), [], None, None),
        (NOW, [], None, "L1-period"),
        (NOW + 30 * DAY, [closing(TODAY)], None, None),
        (NOW + 30 * DAY, [closing(TODAY - DAY)], None, "L2-destroy-by"),
        (NOW + 30 * DAY, [closing(TODAY + DAY), closing(TODAY - DAY)], None, "L2-destroy-by"),
        (NOW - DAY, [closing(TODAY - DAY)], TODAY, None),
        (NOW - DAY, [], TODAY - DAY, "L1-period"),
    ],
)
def test_an_opened_message(
    keep_until: datetime | None, closings: list[Closing], held_until: date | None, rule: str | None
) -> None:
    found = message_rule(keep_until=keep_until, closings=closings, held_until=held_until, now=NOW)
    assert found == rule


@pytest.mark.parametrize(
    ("closings", "last_sent", "rule"),
    [
        ([], NOW - 9 * DAY, None),
        ([closing(TODAY - DAY)], NOW - DAY, "L3-closed"),
        ([closing(TODAY)], NOW - DAY, None),
        ([closing(TODAY - DAY), closing(TODAY + DAY)], NOW - DAY, None),
        ([closing(TODAY - DAY)], NOW, None),
    ],
)
def test_a_record_of_ones_own(closings: list[Closing], last_sent: datetime, rule: str | None) -> None:
    assert record_rule(closings=closings, last_sent=last_sent, now=NOW) == rule


def test_the_evidence_of_a_consent() -> None:
    assert evidence_rule(ended=None, now=NOW, proof_days=PROOF_DAYS) is None
    assert evidence_rule(ended=NOW - (PROOF_DAYS - 1) * DAY, now=NOW, proof_days=PROOF_DAYS) is None
    assert evidence_rule(ended=NOW - PROOF_DAYS * DAY, now=NOW, proof_days=PROOF_DAYS) == "L4-proof"
