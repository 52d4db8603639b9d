"""Questions and answers in a report: requests, deletions, how long they waited."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.auditor.report.document import document
from exchange.auditor.report.matching import BINS, LAST_BIN, Questions, bin_of
from exchange.auditor.rows import Glance
from exchange_schemas.entry import Act
from tests.unit.auditor_report.small_logs import DAY, HOUR, MONDAY, counted, deposit, entry, fetch, figure


def test_answers_are_matched_to_the_oldest_question_of_the_pair() -> None:
    figures = counted(
        deposit(MONDAY, "embassy", "ngo", "information_request"),
        deposit(MONDAY + HOUR, "embassy", "ngo", "information_request"),
        deposit(MONDAY + HOUR, "clinic", "ngo", "information_request"),
        deposit(MONDAY + 2 * HOUR, "ngo", "embassy", "information_response"),
        deposit(MONDAY + 3 * DAY, "ngo", "embassy", "declined"),
        deposit(MONDAY + 4 * DAY, "ngo", "embassy", "information_response"),
    )
    content = document(figures)
    waited = dict(figure(content, "response_times").rows)
    assert (waited["1 to 4 hours"], waited["1 to 3 days"], sum(waited.values())) == (1, 1, 2)
    assert figure(content, "requests").rows == (
        ("ngo", "within a day", 1),
        ("ngo", "later", 1),
        ("ngo", "not answered", 1),
    )


def test_a_tracing_request_asks_many_and_is_owed_no_answer() -> None:
    figures = counted(
        deposit(MONDAY, "embassy", "ngo", "tracing_request"),
        deposit(MONDAY + HOUR, "embassy", "ngo", "information_request"),
        deposit(MONDAY + 2 * HOUR, "ngo", "embassy", "information_response"),
        fetch(MONDAY + 3 * HOUR, "embassy", "ngo"),
    )
    content = document(figures)
    assert figure(content, "requests").rows == (("ngo", "within a day", 1),)
    assert dict(figure(content, "response_times").rows)["1 to 4 hours"] == 1
    assert figure(content, "unrequested_pairs").rows == ()


def test_each_pair_has_its_own_answer_times_and_no_child_or_message_in_them() -> None:
    figures = counted(
        deposit(MONDAY, "asker", "asked", "information_request"),
        deposit(MONDAY, "asker", "asked", "information_request"),
        deposit(MONDAY, "other", "asked", "information_request"),
        deposit(MONDAY + 2 * HOUR, "asked", "asker", "information_response"),
        deposit(MONDAY + 5 * DAY, "asked", "asker", "declined"),
    )
    found = figure(document(figures), "response_pairs")
    assert found.columns == ("asks", "is asked", "middle answer", "answered", "requests")
    assert found.rows == (("asker", "asked", "1 to 4 hours", 2, 2), ("other", "asked", "none yet", 0, 1))


def test_what_a_courier_carried_is_the_offices_doing() -> None:
    carried = entry(
        MONDAY,
        Act.ENVELOPE_DEPOSIT,
        "courier",
        "office",
        "asked",
        knd="information_request",
        pol="carried:office",
    )
    assert Glance.at(carried).org == "office"
    assert Glance.at(carried).own == ("asked", "office")
    figures = counted(carried, deposit(MONDAY + HOUR, "asked", "office", "declined"))
    assert figure(document(figures), "response_pairs").rows == (("office", "asked", "1 to 4 hours", 1, 1),)


def test_deletions_without_a_receipt_are_listed_the_oldest_first() -> None:
    content = document(
        counted(
            deposit(MONDAY, "ngo", "embassy", "deletion_request"),
            deposit(MONDAY + DAY, "ngo", "clinic", "deletion_request"),
            deposit(MONDAY + 2 * DAY, "ngo", "clinic", "deletion_request"),
            deposit(MONDAY + 3 * DAY, "embassy", "ngo", "deletion_receipt"),
            deposit(MONDAY + 9 * DAY, "embassy", "ngo", "found_notice"),
        )
    )
    assert figure(content, "unanswered_deletions").rows == (("clinic", "ngo", 2, "2026-03-03", 8),)
    assert dict(content.summary)["deletions not answered"] == 2
    assert any("clinic has owed the oldest for 8 days" in notice.text for notice in content.notices)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 10**12)), max_size=600))
def test_whatever_is_asked_and_answered_the_sums_hold(steps: list[tuple[bool, int]]) -> None:
    questions, asked, answered = Questions(), 0, 0
    for asks, at in steps:
        if asks:
            questions.ask("embassy", "ngo", at)
            asked += 1
        else:
            questions.answer("ngo", "embassy", at)
            answered += asked > answered
    assert sum(item.count for item in questions.open()) == asked - answered
    assert questions.waited.total() == questions.answered["ngo"] == answered
    assert set(questions.waited) <= {name for name, _ in BINS} | {LAST_BIN}


@pytest.mark.parametrize(
    ("hours", "name"), [(0, "under 1 hour"), (1, "1 to 4 hours"), (24, "1 to 3 days"), (10_000, LAST_BIN)]
)
def test_a_waiting_time_falls_into_one_bin(hours: int, name: str) -> None:
    assert bin_of(hours * 3_600_000_000) == name
