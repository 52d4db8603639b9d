"""`exchange-hub sandbox`: ready homes, messages of every state, a plain mark, no settings of a real hub."""

import os
import subprocess
from pathlib import Path

import pytest
import requests

from exchange.agency import Client
from exchange.sandbox.build import Sandbox
from exchange_schemas.errors import ConfigInvalid
from tests.sandbox.conftest import PROGRAM, Running, environment

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.enable_socket]


@pytest.fixture(autouse=True)
def _test_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEWARD_INSECURE_KDF", "1")


def opened(sandbox: Running, name: str) -> Client:
    agency = sandbox.agency(name)
    return Client.open(Path(agency["home"]), agency["user"], agency["passphrase"].encode())


def refused(*arguments: str, code: int = 2, **settings: str) -> str:
    done = subprocess.run(
        [str(PROGRAM), "sandbox", *arguments],
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_the_origin_says_what_it_is(sandbox: Running) -> None:
    shown = requests.get(f"{sandbox.base_url}/v1/deployment", timeout=10).json()
    assert shown["origin"] == sandbox.facts["origin"] == "sandbox.homeward.example"
    assert shown["base_url"].startswith("http://127.0.0.1:")


def test_every_kind_of_member_has_a_home_that_its_printed_passphrase_opens(sandbox: Running) -> None:
    kinds = {one["kind"] for one in sandbox.facts["agencies"]}
    assert kinds == {"embassy", "commission", "ngo", "auditor"}
    names = {one["id"] for one in sandbox.facts["agencies"]}
    for agency in sandbox.facts["agencies"]:
        with opened(sandbox, agency["id"]) as client:
            if agency["kind"] == "auditor":
                # It reads the log with a program of its own and has no mailbox to bring up to date.
                continue
            client.sync()
            assert {one.agency for one in client.agencies()} == names


def test_messages_of_every_state_lie_in_the_mailboxes(sandbox: Running) -> None:
    with opened(sandbox, "embassy-fr") as embassy, opened(sandbox, "commission") as commission:
        states = [item.state for client in (embassy, commission) for item in client.inbox()]
    assert {"waiting", "receipted", "dead"} <= set(states)


def test_everything_secret_is_its_owners_alone(sandbox: Running) -> None:
    for agency in sandbox.facts["agencies"]:
        for name in ("passphrase_file", "auth_key_file"):
            assert os.stat(agency[name]).st_mode & 0o077 == 0, name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HOMEWARD_ENVIRONMENT", "production"),
        ("HOMEWARD_DATABASE_URL", "postgresql+psycopg://worker@/hub"),
        ("HOMEWARD_DATA_DIR", "/srv/hub"),
    ],
)
def test_settings_of_a_hub_are_refused_by_name(name: str, value: str, tmp_path: Path) -> None:
    said = refused("--dir", str(tmp_path / "new"), **{name: value})
    assert f"{name} is set" in said
    assert not (tmp_path / "new").exists()


def test_a_folder_with_something_else_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "hub.env").write_text("HOMEWARD_ORIGIN=exchange.example\n")
    assert "holds no finished sandbox" in refused("--dir", str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["hub.env"]


@pytest.mark.parametrize("text", ["", "[]", '{"agencies": 1}', '{"agencies": [{}]}'])
def test_a_spoilt_description_of_a_sandbox_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "sandbox.json").write_text(text)
    with pytest.raises(ConfigInvalid):
        Sandbox.read(tmp_path)


def test_a_sandbox_that_runs_keeps_its_port(sandbox: Running) -> None:
    assert "is in use" in refused("--dir", str(sandbox.folder), code=1)


def test_another_port_than_it_was_made_for_is_refused(sandbox: Running) -> None:
    assert "was made for port" in refused("--dir", str(sandbox.folder), "--port", "65535")


def test_a_sandbox_starts_again_as_it_was(sandbox: Running) -> None:
    """The one of these tests was stopped once and started again."""
    assert sandbox.facts == sandbox.first
