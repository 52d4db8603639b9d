"""A running exchange on SQLite with an auditor, and the auditor's command line, for every test here."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exchange.agency import Client
from exchange.hub.services.hub import Hub
from exchange.member.session import Session
from tests.integration.agency.dealings import deal
from tests.integration.agency.exchange_world import Exchange, served_exchange
from tests.unit.auditor.command_line import CommandLine


@pytest.fixture
def database_kind() -> str:
    """SQLite alone: what an auditor reads is the same bytes, and a database to be cut is a file here."""
    return "sqlite"


@pytest.fixture
def exchange(
    make_hub: Callable[..., Hub], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Exchange]:
    monkeypatch.setenv("HOMEWARD_INSECURE_KDF", "1")
    with served_exchange(make_hub, tmp_path) as world:
        yield world


@pytest.fixture
def auditor(exchange: Exchange) -> Iterator[Session]:
    with exchange.client(exchange.found("open-audit", kind="auditor")) as client:
        yield client.session


@pytest.fixture
def audit(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return CommandLine(capsys, monkeypatch)


@pytest.fixture
def parties(exchange: Exchange) -> Iterator[dict[str, Client]]:
    """An NGO that dealt with an embassy and with a commission."""
    with (
        exchange.joined("ngo") as ngo,
        exchange.joined("embassy", kind="embassy", country="MA", public=True) as embassy,
        exchange.joined("commission", kind="commission") as commission,
    ):
        deal(ngo, embassy)
        deal(ngo, commission)
        yield {"ngo": ngo, "embassy": embassy, "commission": commission}
