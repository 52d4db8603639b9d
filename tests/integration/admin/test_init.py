"""`exchange-hub init` makes a hub once, and says so when it is there."""

import json
import os
import stat
from pathlib import Path

import pytest

from exchange_schemas.entry import Act
from tests.integration.admin.conftest import HUB_PASSPHRASE, Shell, both


@both
def test_one_command_makes_a_hub_with_a_signed_first_event(shell: Shell) -> None:
    said = shell.init("asha", "--json")
    found = json.loads(said.stdout)
    assert (found["made"], found["status"], found["directory_events"], found["audit_entries"]) == (
        True,
        "ready",
        2,
        2,
    )
    assert [(entry.act, entry.out, entry.opr, entry.pol) for entry in shell.entries()] == [
        (Act.HUB_INIT, "allow", "asha", None),
        (Act.AGREEMENTS_SET, "allow", "asha", "agreements@1"),
    ]
    assert shell.json("check")["operators"] == "1 of 1"


def test_what_it_writes_only_the_hub_can_read(made: Shell) -> None:
    hub = made.folder / "hub"
    for path in [hub, *hub.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode & 0o077 == 0, path
    kept = (hub / "hub.env").read_text()
    assert HUB_PASSPHRASE not in kept


@both
def test_the_owner_of_the_tables_is_not_kept_where_workers_read(made: Shell) -> None:
    kept = (made.folder / "hub" / "hub.env").read_text()
    assert "HOMEWARD_DATABASE_URL=" in kept
    assert "OWNER" not in kept
    made.env.pop("HOMEWARD_OWNER_DATABASE_URL", None)
    assert made.json("check")["status"] == "ready"


@both
def test_repeating_changes_nothing(made: Shell) -> None:
    def files() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in (made.folder / "hub").rglob("*.key")}

    before = files()
    found = json.loads(made.init("asha", "--json").stdout)
    assert (found["made"], found["directory_events"]) == (False, 2)
    assert files() == before
    assert len(made.entries()) == 2


def test_a_hub_may_begin_without_agreements_and_init_makes_up_for_it(shell: Shell) -> None:
    assert json.loads(shell.init("asha", "--json", "--without-agreements").stdout)["directory_events"] == 1
    assert shell.json("agreement", "show") == {"version": 0, "agreements": []}
    assert json.loads(shell.init("asha", "--json").stdout)["directory_events"] == 2
    assert {row["version"] for row in shell.json("agreement", "show")} == {1}


def test_another_operator_cannot_take_over_by_repeating(made: Shell) -> None:
    made.keygen("eve")
    assert "other operators" in made.init("eve", code=1).stderr


def test_another_origin_is_refused(made: Shell) -> None:
    said = made.run(
        "init", "--origin", "other.example", "--operator", "asha", *made.signed_by("asha"), code=2
    )
    assert "HOMEWARD_ORIGIN" in said.stderr


def test_a_wrong_passphrase_leaves_nothing_behind(shell: Shell) -> None:
    shell.keygen("asha")
    wrong = ["--passphrase-file", shell.secret("wrong.pass", "not this one at all")]
    key = ["--operator-key", shell.path("asha.key")]
    where = ["--origin", "exchange.example", "--base-url", "https://exchange.example"]
    secret = ["--hub-passphrase-file", shell.secret("hub.pass", HUB_PASSPHRASE)]
    said = shell.run("init", *where, *secret, "--operator", "asha", *key, *wrong, code=1)
    assert "WRONG_PASSPHRASE" in said.stderr
    assert not (shell.folder / "hub").exists()


def test_the_name_must_be_that_of_the_key(shell: Shell) -> None:
    shell.keygen("asha")
    where = ["--origin", "exchange.example", "--base-url", "https://exchange.example"]
    secret = ["--hub-passphrase-file", shell.secret("hub.pass", HUB_PASSPHRASE)]
    said = shell.run("init", *where, *secret, "--operator", "ben", *shell.signed_by("asha"), code=2)
    assert "another name" in said.stderr


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ("--origin", "HOMEWARD_ORIGIN"),
        ("--base-url", "HOMEWARD_BASE_URL"),
        ("--hub-passphrase-file", "passphrase"),
        ("--operator", "--operator"),
        ("--operator-key", "--operator-key"),
    ],
)
def test_what_is_missing_is_named(shell: Shell, missing: str, says: str) -> None:
    shell.keygen("asha")
    given = {
        "--origin": "exchange.example",
        "--base-url": "https://exchange.example",
        "--hub-passphrase-file": shell.secret("hub.pass", HUB_PASSPHRASE),
        "--operator": "asha",
        "--operator-key": shell.path("asha.key"),
    }
    del given[missing]
    options = [word for pair in given.items() for word in pair]
    said = shell.run("init", *options, *shell.passphrase(), code=2)
    assert says in said.stderr
    assert not (shell.folder / "hub").exists()


def test_plain_http_is_refused_in_production(shell: Shell) -> None:
    shell.keygen("asha")
    shell.env["HOMEWARD_ENVIRONMENT"] = "production"
    said = shell.init(code=2)
    assert "HOMEWARD_INSECURE_KDF" in said.stderr


def test_a_hub_that_lost_a_key_file_is_not_given_a_new_one(made: Shell) -> None:
    Path(made.path("hub/keys/directory-log.key")).unlink()
    said = made.init(code=1)
    assert "backup" in said.stderr


def test_half_made_keys_of_a_hub_without_events_can_be_made_again(shell: Shell) -> None:
    shell.keygen("asha")
    keys = shell.folder / "hub" / "keys"
    keys.mkdir(parents=True)
    (keys / "token.key").write_text("half")
    assert "remove" in shell.init(code=1).stderr
    (keys / "token.key").unlink()
    shell.init()


@both
def test_the_hubs_passphrase_may_come_by_a_descriptor(shell: Shell) -> None:
    shell.keygen("asha")
    where = ["--origin", "exchange.example", "--base-url", "https://exchange.example"]
    for command in (["init", *where, "--operator", "asha", *shell.signed_by("asha")], ["check"]):
        reader, writer = os.pipe()
        os.write(writer, f"{HUB_PASSPHRASE}\n".encode())
        os.close(writer)
        shell.env["HOMEWARD_KEY_PASSPHRASE_FD"] = str(reader)
        shell.run(*command)
        os.close(reader)
    assert "PASSPHRASE_FD" not in (shell.folder / "hub" / "hub.env").read_text()


def test_a_config_file_may_stand_elsewhere(shell: Shell) -> None:
    shell.keygen("asha")
    lines = {
        "HOMEWARD_ORIGIN": "exchange.example",
        "HOMEWARD_BASE_URL": "https://exchange.example",
        "HOMEWARD_DATA_DIR": shell.path("hub"),
        "HOMEWARD_KEY_PASSPHRASE_FILE": shell.secret("hub.pass", HUB_PASSPHRASE),
    }
    config = shell.folder / "settings"
    config.write_text("# ours\n\n" + "".join(f"{name}={value}\n" for name, value in lines.items()))
    here = ["--config", str(config)]
    shell.run("init", "--operator", "asha", *shell.signed_by("asha"), *here, data_dir=False)
    shell.run("check", *here, data_dir=False)
    assert not (shell.folder / "hub" / "hub.env").exists()
