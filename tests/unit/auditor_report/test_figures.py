"""What a report counts: each figure on a log small enough to count by hand."""

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from bench.auditlog import Story
from exchange.auditor.report.content import OTHERS
from exchange.auditor.report.document import document
from exchange.auditor.report.figures import Office
from exchange.auditor.rows import Glance
from exchange_schemas.codec import b64u
from exchange_schemas.entry import Act, Entry
from exchange_schemas.errors import EntryInvalid
from exchange_schemas.ids import AgencyId
from tests.unit.auditor_report.small_logs import (
    CNS,
    DAY,
    HOUR,
    MONDAY,
    OTHER,
    counted,
    deposit,
    entry,
    fetch,
    figure,
)

# -- reading an entry at a glance ----------------------------------------------------------------------


def test_a_glance_reads_what_json_reads() -> None:
    for data in Story(seed=5).entries(3_000):
        members = json.loads(data)
        seen = Glance.at(data)
        for name in ("act", "cns", "knd", "org", "out", "pol", "pur", "rsn"):
            assert getattr(seen, name) == members.get(name, "")
        assert list(seen.own) == members["own"]


def test_a_glance_at_the_smallest_and_the_largest_entry() -> None:
    small = Entry(log="a.example/audit", id=b64u(bytes(16)), ts=0, act=Act.HUB_START, out="allow", opr="asha")
    seen = Glance.at(small.to_bytes())
    assert seen == ("hub:start", "", "", "", "allow", (), "", "", "")
    with pytest.raises(EntryInvalid):
        Glance.at(b'{"v":1}')


# -- accesses and refusals -----------------------------------------------------------------------------


def test_accesses_are_counted_by_agency_and_purpose_and_refusals_by_reason() -> None:
    figures = counted(
        fetch(MONDAY, "embassy", "ngo"),
        fetch(MONDAY + DAY, "embassy", "ngo", fld=("sex",)),
        entry(MONDAY, Act.PART_FETCH, "clinic", "ngo", pur="health"),
        fetch(MONDAY, "embassy", "ngo", rsn="FIELD_DENIED"),
        entry(MONDAY, Act.TOKEN_ISSUE, "embassy"),
    )
    content = document(figures)
    assert (figures.entries, figures.accesses) == (5, {"embassy": 2, "clinic": 1})
    assert content.unit == "day"
    assert figure(content, "accesses_by_agency").rows == (
        ("2026-03-02", "embassy", 1),
        ("2026-03-02", "clinic", 1),
        ("2026-03-03", "embassy", 1),
    )
    assert figure(content, "accesses_by_purpose").rows[0] == ("2026-03-02", "trace", 1)
    assert figure(content, "denials").rows == (("2026-03-02", "FIELD_DENIED", 1),)
    assert figure(content, "denials_by_agency").rows == (("embassy", "FIELD_DENIED", 1),)


def test_a_long_log_is_shown_by_week_or_month_and_a_crowd_of_agencies_as_others() -> None:
    crowd = [fetch(MONDAY + DAY * at, f"agency-{at:02}", "ngo") for at in range(20)]
    weeks = document(counted(*crowd, fetch(MONDAY + DAY * 100, "agency-00", "ngo")))
    assert weeks.unit == "week"
    rows = figure(weeks, "accesses_by_agency").rows
    assert {row[0] for row in rows} == {"2026-03-02", "2026-03-09", "2026-03-16", "2026-06-08"}
    assert len({row[1] for row in rows}) == 8
    assert sum(int(row[2]) for row in rows if row[1] == OTHERS) == 13
    months = document(counted(crowd[0], fetch(MONDAY + DAY * 900, "agency-00", "ngo")))
    assert (months.unit, [row[0] for row in figure(months, "accesses_by_agency").rows]) == (
        "month",
        ["2026-03-01", "2028-08-01"],
    )


def over_limit(many: int, *own: str, kind: str = "limited") -> bytes:
    return Entry(
        log="test.example/audit",
        id=b64u(bytes(16)),
        ts=int(MONDAY.timestamp() * 1_000_000),
        act=Act.REQUEST_COUNT,
        out="allow",
        own=tuple(AgencyId(name) for name in own),
        opr="hub",
        pol=f"{kind}:{many}",
    ).to_bytes()


def test_requests_over_an_agency_s_limit_are_refusals_each() -> None:
    strangers = over_limit(99, kind="unauthenticated")
    content = document(
        counted(over_limit(40, "ngo"), over_limit(2, "ngo"), over_limit(1, "clinic"), strangers)
    )
    assert figure(content, "denials_by_agency").rows == (
        ("ngo", "RATE_LIMITED", 42),
        ("clinic", "RATE_LIMITED", 1),
    )
    assert dict(content.summary)["refusals"] == 43


def test_a_list_says_how_much_it_leaves_out() -> None:
    met = [fetch(MONDAY, "embassy", f"ngo-{number}") for number in range(30)]
    owed = [deposit(MONDAY, "embassy", f"ngo-{number}", "deletion_request") for number in range(27)]
    asked = [deposit(MONDAY, "ngo", f"clinic-{number}", "information_request") for number in range(26)]
    content = document(counted(*met, *owed, *asked))
    lists = ("newest_pairs", "unrequested_pairs", "unanswered_deletions", "response_pairs")
    assert [figure(content, key).left_out for key in lists] == [5, 5, 2, 1]
    assert [figure(content, key).left_out for key in ("deletions", "requests", "off_hours")] == [2, 1, 0]
    assert {len(figure(content, key).rows) for key in lists} == {25}


# -- hours ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "off"),
    [
        (MONDAY.replace(hour=6, minute=59), 1),
        (MONDAY.replace(hour=7), 0),
        (MONDAY.replace(hour=18, minute=59), 0),
        (MONDAY.replace(hour=19), 1),
        (MONDAY + DAY * 5, 1),
        (MONDAY + DAY * 4, 0),
    ],
)
def test_off_hours_are_outside_of_the_office_s_days_and_hours(when: datetime, off: int) -> None:
    assert counted(fetch(when, "embassy", "ngo")).off_hours["embassy"] == off


def test_hours_and_days_are_those_of_the_office_s_time_zone() -> None:
    zone = Office(ZoneInfo("Asia/Kathmandu"))
    figures = counted(fetch(MONDAY.replace(hour=20, minute=30), "embassy", "ngo"), office=zone)
    assert figures.hours == {(1, 2): 1}
    assert figure(document(figures), "accesses_by_agency").rows[0][0] == "2026-03-03"
    assert counted(fetch(MONDAY.replace(hour=20, minute=30), "embassy", "ngo")).hours == {(0, 20): 1}


@pytest.mark.parametrize(("zone", "day"), [("UTC", "2026-03-02"), ("Asia/Kathmandu", "2026-03-03")])
def test_every_day_that_the_report_names_is_one_of_the_asked_time_zone(zone: str, day: str) -> None:
    evening = MONDAY.replace(hour=20, minute=30)
    content = document(
        counted(
            fetch(evening, "embassy", "ngo"),
            deposit(evening, "ngo", "embassy", "deletion_request"),
            entry(evening, Act.CONSENT_REGISTER, "ngo", "embassy", pol="vital-interest"),
            office=Office(ZoneInfo(zone)),
        )
    )
    assert content.first is not None
    assert content.last is not None
    assert str(content.zone) == zone
    assert content.first == content.last == evening
    assert content.first.date().isoformat() == content.last.date().isoformat() == day
    assert figure(content, "first_time_pairs").rows[0][0] == day
    assert figure(content, "newest_pairs").rows[0][2] == day
    assert figure(content, "unanswered_deletions").rows[0][3] == day
    assert str(figure(content, "vital_interest").rows[0][0]).startswith(day)


@pytest.mark.parametrize(
    ("utc", "hour"),
    [("2026-03-29T00:59", 1), ("2026-03-29T01:00", 3), ("2026-10-25T00:59", 2), ("2026-10-25T01:00", 2)],
)
def test_the_hour_is_right_on_the_days_on_which_the_clocks_change(utc: str, hour: int) -> None:
    when = datetime.fromisoformat(utc).replace(tzinfo=UTC)
    figures = counted(fetch(when, "embassy", "ngo"), office=Office(ZoneInfo("Europe/Berlin")))
    assert figures.hours == {(6, hour): 1}


# -- pairs, requests, consents -------------------------------------------------------------------------


def test_a_pair_is_new_once_and_counts_from_then_on() -> None:
    content = document(
        counted(
            fetch(MONDAY, "embassy", "ngo"),
            fetch(MONDAY + DAY, "embassy", "ngo"),
            fetch(MONDAY + DAY, "ngo", "embassy"),
        )
    )
    assert figure(content, "first_time_pairs").rows == (
        ("2026-03-02", "new pair", 1),
        ("2026-03-03", "new pair", 1),
    )
    assert figure(content, "newest_pairs").rows == (
        ("ngo", "embassy", "2026-03-03", 1),
        ("embassy", "ngo", "2026-03-02", 2),
    )


def test_an_access_is_without_a_request_until_the_receiver_asked_the_sender() -> None:
    figures = counted(
        fetch(MONDAY, "embassy", "ngo"),
        deposit(MONDAY + HOUR, "ngo", "embassy", "information_request"),
        fetch(MONDAY + 2 * HOUR, "embassy", "ngo"),
        deposit(MONDAY + 3 * HOUR, "embassy", "ngo", "information_request"),
        fetch(MONDAY + 4 * HOUR, "embassy", "ngo"),
        fetch(MONDAY + 5 * HOUR, "embassy", "clinic", knd="information_request"),
    )
    assert figures.unrequested == {("embassy", "ngo"): 2}
    assert sum(figures.asked_for.values()) == 3
    assert figure(document(figures), "unrequested_pairs").rows == (("embassy", "ngo", 2),)


def test_an_access_under_a_withdrawn_consent_is_named_first_and_refusals_are_not() -> None:
    figures = counted(
        entry(MONDAY, Act.CONSENT_REGISTER, "ngo", "embassy", cns=CNS),
        fetch(MONDAY, "embassy", "ngo", cns=CNS),
        entry(MONDAY + HOUR, Act.CONSENT_WITHDRAW, "ngo", "embassy", cns=CNS),
        fetch(MONDAY + 2 * HOUR, "embassy", "ngo", cns=OTHER),
        fetch(MONDAY + 2 * HOUR, "embassy", "ngo", cns=CNS, rsn="CONSENT_WITHDRAWN"),
        fetch(MONDAY + 3 * HOUR, "embassy", "ngo", cns=CNS),
    )
    content = document(figures)
    assert figures.after_withdrawal == [5]
    grave = [notice.text for notice in content.notices if notice.grave]
    assert len(grave) == 1
    assert "entries 5." in grave[0]
    assert dict(content.summary)["accesses after a withdrawal"] == 1
    assert {row[1]: row[2] for row in figure(content, "consents").rows} == {
        "registered": 1,
        "withdrawn": 1,
        "refused: withdrawn": 1,
    }


def test_sharing_on_vital_interest_stands_first_with_its_parties() -> None:
    figures = counted(
        entry(MONDAY, Act.CONSENT_REGISTER, "ngo", "embassy", pol="agreements@1"),
        entry(MONDAY + HOUR, Act.CONSENT_REGISTER, "ngo", "clinic", "commission", pol="vital-interest"),
        entry(MONDAY + HOUR, Act.GRANT_FETCH, "clinic", "ngo", pol="vital-interest"),
    )
    content = document(figures)
    assert content.figures[0].key == "vital_interest"
    assert figure(content, "vital_interest").rows == (
        (f"{MONDAY + HOUR:%Y-%m-%d %H:%M}", "ngo", "clinic commission ngo", 1),
    )
    (grave,) = [notice.text for notice in content.notices if notice.grave]
    assert "1 consent rests on vital interest, by ngo" in grave
    assert dict(content.summary)["consents on vital interest"] == 1
    assert not [one for one in document(counted()).notices if "vital" in one.text]


def test_of_many_consents_on_vital_interest_every_agency_is_named_and_the_rest_is_counted() -> None:
    names = ["ngo"] * 50 + ["clinic"] * 3
    made = [entry(MONDAY, Act.CONSENT_REGISTER, name, "embassy", pol="vital-interest") for name in names]
    content = document(counted(*made))
    (grave,) = [notice.text for notice in content.notices if notice.grave]
    assert "53 consents rest on vital interest, by clinic, ngo" in grave
    listed = figure(content, "vital_interest")
    assert (len(listed.rows), listed.left_out) == (50, 3)


def test_an_empty_log_makes_an_empty_report() -> None:
    content = document(counted())
    assert (content.first, content.last, content.notices) == (None, None, ())
    assert dict(content.summary)["entries"] == 0
