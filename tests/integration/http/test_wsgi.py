"""`wsgi.py` and what the processes keep: counters of failures, standings, keys."""

import runpy
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select, text

from exchange.hub.app import create_app
from exchange.hub.hubkeys import create_hub_keys
from exchange.hub.models.consents import consent_family
from exchange.hub.oauth.standing import TRUSTED_S, Standings
from exchange.hub.revisions import migrate
from exchange.hub.services import guard
from exchange.hub.services.counters import FAILED, PERIOD_S, Counter
from exchange.hub.services.hub import Hub, utc_now
from exchange_schemas.errors import ConfigInvalid, Unavailable
from exchange_schemas.ids import AgencyId, FamilyId
from tests.integration.http.conftest import PROBE, Exchange, Member

ROOT = Path(__file__).resolve().parents[3]


def test_wsgi_needs_its_settings_and_names_the_one_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ORIGIN", "BASE_URL", "DATABASE_URL", "DATA_DIR", "GUARD_DIR"):
        monkeypatch.delenv(f"HOMEWARD_{name}", raising=False)
    with pytest.raises(ConfigInvalid, match="HOMEWARD_"):
        runpy.run_path(str(ROOT / "wsgi.py"))


def test_any_server_applies_the_journal_of_withdrawals_before_it_serves(make_hub: Any) -> None:
    hub: Hub = make_hub()
    create_hub_keys(hub.settings, utc_now())
    line = guard.Withdrawn(FamilyId("A" * 22), AgencyId("ngo-a"), 1, b"{}")
    guard.append(hub.settings.guard_dir, line)
    for _ in range(2):
        assert create_app(hub.settings).test_client().get("/readyz").status_code == 200
    with hub.engine.connect() as conn:
        assert conn.execute(select(consent_family.c.family, consent_family.c.status)).all() == [
            ("A" * 22, "withdrawn")
        ]


def test_no_server_serves_a_hub_whose_checks_do_not_hold(make_hub: Any) -> None:
    hub: Hub = make_hub()
    create_hub_keys(hub.settings, utc_now())
    migrate(hub.settings, "0002", down=True)
    with pytest.raises(Unavailable, match="may not serve"):
        create_app(hub.settings)


def test_failures_are_counted_and_logged_once_a_minute(exchange: Exchange) -> None:
    seconds = [0.0]
    counter = Counter(exchange.hub, FAILED, lambda: seconds[0])
    for _ in range(5):
        counter.add()
    seconds[0] = PERIOD_S - 1
    counter.add()
    assert [entry.pol for entry in exchange.entries()] == ["unauthenticated:1"]
    seconds[0] = PERIOD_S
    counter.add()
    assert [entry.pol for entry in exchange.entries()] == ["unauthenticated:1", "unauthenticated:6"]


def test_a_count_that_cannot_be_logged_is_kept_and_changes_no_answer(exchange: Exchange) -> None:
    seconds = [0.0]
    counter = Counter(exchange.hub, FAILED, lambda: seconds[0])
    with exchange.hub.engine.begin() as conn:
        conn.execute(text("ALTER TABLE log_entry RENAME TO away"))
    counter.add()
    with exchange.hub.engine.begin() as conn:
        conn.execute(text("ALTER TABLE away RENAME TO log_entry"))
    seconds[0] = PERIOD_S
    counter.add()
    assert [entry.pol for entry in exchange.entries()] == ["unauthenticated:2"]


def test_a_standing_is_asked_for_again_after_its_time(exchange: Exchange) -> None:
    seconds = [0.0]
    standings = Standings(exchange.hub, lambda: seconds[0])
    agency = AgencyId("agency-a")
    assert standings.kind_of(agency) is None
    exchange.admit("agency-a", "auditor")
    assert standings.kind_of(agency) is None
    seconds[0] = TRUSTED_S
    assert standings.kind_of(agency) == "auditor"
    exchange.set_status("agency-a", "suspended")
    assert standings.kind_of(agency) == "auditor"
    seconds[0] = 2 * TRUSTED_S
    assert standings.kind_of(agency) is None


def test_a_token_and_a_protected_answer_take_one_writing_transaction_each(
    exchange: Exchange, member: Member
) -> None:
    assert member.call("GET").status_code == 200
    begun: list[Any] = []
    event.listen(exchange.hub.engine, "begin", begun.append)
    assert member.call("GET").status_code == 200
    assert len(begun) == 1
    assert member.ask_token().status_code == 200
    assert len(begun) == 2


def test_nobody_who_proves_nothing_makes_the_hub_write(exchange: Exchange, member: Member) -> None:
    member.call("GET", headers={"DPoP": None})
    before = len(exchange.entries())
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "DPoP a.b.c", "DPoP": "a.b.c"}):
        assert exchange.client.get(PROBE, headers=headers).status_code == 401
    assert len(exchange.entries()) == before
