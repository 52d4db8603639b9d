"""Agencies and auditors judge both logs by the witnesses in their deployment file, over the real hub."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exchange.auditor.witness.service import Witness
from exchange.hub.services.hub import Hub
from exchange.member.watching import watch
from exchange_schemas.errors import LogStale
from tests.integration.agency.exchange_world import PASSPHRASE, USER, Exchange, served_exchange
from tests.integration.auditor.serving import running
from tests.integration.publishing.conftest import publish
from tests.integration.publishing.witnesses import Real, real, witnessed_by
from tests.unit.auditor.command_line import CommandLine

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]


@pytest.fixture
def database_kind() -> str:
    """SQLite alone: what is shown is the same bytes."""
    return "sqlite"


@pytest.fixture
def exchange(
    make_hub: Callable[..., Hub], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Exchange]:
    monkeypatch.setenv("HOMEWARD_INSECURE_KDF", "1")
    with served_exchange(make_hub, tmp_path) as world:
        yield world


@pytest.fixture
def named(exchange: Exchange, tmp_path: Path) -> Real:
    """A witness that the hub's policy, and so the deployment file, names; it is not up."""
    witness = real(tmp_path, exchange.hub, "one")
    exchange.stop()
    exchange.hub = witnessed_by(exchange.hub, 1, witness)
    exchange.start()
    return witness


def test_an_agency_follows_a_directory_that_its_quorum_has_seen_today(
    exchange: Exchange, named: Real
) -> None:
    with exchange.client(exchange.found("ngo")) as ngo:
        with pytest.raises(LogStale):
            ngo.sync()
        yesterday = lambda: datetime.now(UTC) - timedelta(hours=25)  # noqa: E731  # a clock
        with running(Witness(named.store, named.key, now=yesterday), port=named.port):
            publish(exchange.hub)
        with pytest.raises(LogStale):
            ngo.sync()
        assert watch(ngo.session).failure == "LOG_STALE"
        with named.up():
            publish(exchange.hub)
        ngo.sync()
        seen = ngo.session.directory.witnessed_at()
        assert seen is not None
        assert abs(seen - datetime.now(UTC)) < timedelta(minutes=5)
        # The log grows on; what was witnessed lies in it.
        exchange.found("embassy", kind="embassy")
        ngo.sync()
        assert watch(ngo.session).failure is None


def test_an_auditor_without_a_policy_judges_by_the_witnesses_of_the_deployment_file(
    exchange: Exchange,
    named: Real,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command_line = CommandLine(capsys, monkeypatch)
    with named.up():
        publish(exchange.hub)
        home = exchange.found("open-audit", kind="auditor")
        secret = tmp_path / "passphrase"
        secret.touch(mode=0o600)
        secret.write_bytes(PASSPHRASE + b"\n")

        def run(*words: str, code: int = 0) -> Any:
            where = ("--home", str(home), "--user", USER, "--passphrase-file", str(secret), "--json")
            ended, out, said = command_line.run(*words, *where)
            assert ended == code, said
            return json.loads(out)

        log = str(tmp_path / "log")
        assert run("pull", log)["witnesses"]["answered"] == 1
        before = run("verify", log)
        assert before["witnessed"]["satisfied"] is True
        publish(exchange.hub)
        run("pull", log)
        after = run("verify", log)
        assert after["witnessed"]["size"] > before["witnessed"]["size"]
        other = tmp_path / "other.policy"
        stranger = real(tmp_path, exchange.hub, "stranger")
        other.write_text(
            f"log {exchange.deployment().audit_vkey}\nwitness s {stranger.vkey} {stranger.url}\nquorum s\n"
        )
        # The auditor's own policy wins over the operator's choice.
        assert run("verify", log, "--policy", str(other), code=1)["witnessed"]["satisfied"] is False
