"""A running exchange on SQLite with an NGO that sends and an embassy that receives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exchange.agency import Client
from exchange.hub.services.hub import Hub
from tests.integration.agency.exchange_world import (
    PASSPHRASE,
    USER,
    Exchange,
    child_with_decision,
    found_terms,
    served_exchange,
)
from tests.integration.agency.trips import Trip, unplugged
from tests.unit.agency.cli_runner import CommandLine, secret_file


@pytest.fixture
def database_kind() -> str:
    """SQLite alone: the agency program cannot tell the difference."""
    return "sqlite"


@pytest.fixture
def exchange(
    make_hub: Callable[..., Hub], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Exchange]:
    """The hub behind a server on this machine."""
    monkeypatch.setenv("HOMEWARD_INSECURE_KDF", "1")
    with served_exchange(make_hub, tmp_path) as running:
        yield running


@pytest.fixture
def ngo(exchange: Exchange) -> Iterator[Client]:
    """An NGO's client."""
    with exchange.joined("ngo") as client:
        yield client


@pytest.fixture
def embassy(exchange: Exchange) -> Iterator[Client]:
    """An embassy's client."""
    with exchange.joined("embassy", kind="embassy", country="MA", public=True) as client:
        yield client


@pytest.fixture
def consented(ngo: Client, embassy: Client) -> str:
    """A record with a consent to the embassy; its reference."""
    ngo.sync()
    ref = child_with_decision(ngo)
    ngo.consents.grant(ref, to="embassy", terms=found_terms())
    return ref


@pytest.fixture
def command_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[Client], CommandLine]:
    """The command line of a client's agency, for its first user."""
    secret = secret_file(tmp_path / "first-user.pass", PASSPHRASE)
    bare = CommandLine(capsys, monkeypatch)

    def command(client: Client) -> CommandLine:
        home = client.session.home.path
        return bare.of("--home", home, "--user", USER, "--passphrase-file", secret)

    return command


@pytest.fixture
def trip(exchange: Exchange, embassy: Client, tmp_path: Path) -> Iterator[Trip]:
    """The office was set up where there was network, and carried off."""
    with exchange.joined("office") as begun, exchange.joined("courier") as courier:
        begun.sync()
        embassy.sync()
        home = begun.session.home.path
        begun.close()
        sticks = tmp_path / "sticks"
        sticks.mkdir()
        with unplugged(home) as office:
            yield Trip(office, courier, embassy, sticks)
