"""`exchange-hub audit`, and the publisher beside `serve`: replaced when killed; it ends a forked hub."""

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from exchange.auditor.mirror import Mirror
from exchange.auditor.witness.service import Witness
from exchange.auditor.witness.store import WitnessKey, WitnessStore
from exchange.hub.admin.config import read_file, with_defaults
from exchange.hub.db import reading
from exchange.hub.services import audit_read, witnessed
from exchange.hub.services.hub import open_hub
from exchange.hub.services.logs import audit_log
from exchange.hub.settings import Settings
from exchange.log.slices import Heads
from exchange.log.tiles import tiles_of
from exchange_schemas.entry import Act
from tests.integration.admin.conftest import Shell
from tests.integration.admin.test_serve import START_S, answer, serving
from tests.integration.auditor.serving import running
from tests.integration.ports import free_port

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]


@dataclass
class Witnessed:
    """A hub whose settings name a witness, which listens at `port` while `running`."""

    shell: Shell
    store: WitnessStore
    key: WitnessKey
    port: int

    def serve(self) -> Any:
        return running(Witness(self.store, self.key), port=self.port)


@pytest.fixture
def named(made: Shell) -> Witnessed:
    pins = made.json("deployment", "export", made.path("pins.json"))["deployment"]
    store, port = WitnessStore(Path(made.path("witness"))), free_port()
    logs = [pins["audit_vkey"], pins["directory_vkey"]]
    key = store.create("witness.test/w1", b"correct horse battery", logs, insecure=True)
    policy = Path(made.path("homeward.policy"))
    policy.write_text(f"log {logs[0]}\nwitness ngo {key.vkey} http://127.0.0.1:{port}\nquorum ngo\n")
    made.env["HOMEWARD_WITNESS_POLICY"] = str(policy)
    return Witnessed(made, store, key, port)


def until(what: Callable[[], bool]) -> None:
    """Wait for something that must come."""
    end = time.monotonic() + START_S
    while not what():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


def test_publishing_once_tells_who_cosigned_and_who_lags(named: Witnessed) -> None:
    shell = named.shell
    with named.serve():
        done = shell.json("audit", "publish")
        assert [(log["log"], log["witnessed"]) for log in done["logs"]] == [
            ("audit", True),
            ("directory", True),
        ]
        (audit, directory) = shell.json("audit", "status")
        assert (audit["witness"], audit["lagging_since"], audit["fault"]) == ("ngo", None, None)
        # The founding and the agreements it comes with.
        assert directory["size"] == 2
        assert shell.json("check")["lagging"] == []
    said = shell.run("check")
    assert "the witness ngo could not be asked" in said.stderr


def test_a_round_without_a_quorum_ends_with_one_and_names_the_laggard(named: Witnessed) -> None:
    result = named.shell.runner.invoke(
        _main(), ["audit", "publish", "--data-dir", named.shell.path("hub")], env=named.shell.env
    )
    assert result.exit_code == 1
    assert "ngo lags with the audit log" in result.stderr
    assert "NOT WITNESSED" in result.stdout
    rows = named.shell.json("audit", "status")
    assert all(row["lagging_since"] is not None and "HUB_UNREACHABLE" in row["fault"] for row in rows)


def _main() -> Any:
    from exchange.hub.admin.cli import main

    return main


def test_without_a_policy_or_with_a_bad_one_it_says_so(made: Shell) -> None:
    assert "HOMEWARD_WITNESS_POLICY" in made.run("audit", "publish", code=2).stderr
    made.env["HOMEWARD_WITNESS_POLICY"] = made.path("nothing.policy")
    assert "cannot be read" in made.run("check", code=2).stderr


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]


def works(keeper: int) -> set[int]:
    """The processes that a keeper has running; multiprocessing's own is none of them."""
    return {
        child
        for child in children(keeper)
        if b"resource_tracker" not in Path(f"/proc/{child}/cmdline").read_bytes()
    }


def keeper_of(server: int) -> int:
    """Of the server's children the one with children of its own: upkeep, webhooks, publisher."""
    until(lambda: any(len(children(child)) >= 3 for child in children(server)))
    return next(child for child in children(server) if children(child))


def test_serve_publishes_by_itself_and_replaces_a_killed_publisher(named: Witnessed) -> None:
    shell, port = named.shell, free_port()
    with named.serve(), serving(shell, port, "--workers", "1") as server:
        answer(port, "/healthz")
        until(lambda: json.loads(answer(port, "/readyz")) == {"status": "ready"})
        note = answer(port, "/v1/directory/checkpoint").decode()
        assert "witness.test/w1" in note
        keeper = keeper_of(server.pid)
        first = works(keeper)
        for work in first:
            os.kill(work, signal.SIGKILL)
        until(lambda: len(works(keeper) - first) == len(first) == 3)
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
    until(lambda: not Path(f"/proc/{keeper}").exists())


def test_a_server_that_is_killed_leaves_no_publisher(named: Witnessed) -> None:
    shell, port = named.shell, free_port()
    with named.serve(), serving(shell, port, "--workers", "1") as server:
        answer(port, "/healthz")
        keeper = keeper_of(server.pid)
        left = [*children(server.pid), *children(keeper)]
        server.kill()
        server.wait(30)
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left))


def test_a_server_ends_when_a_witness_proves_that_its_log_went_back(named: Witnessed) -> None:
    shell, port = named.shell, free_port()
    hub = Path(shell.path("hub"))
    backup = (hub / "hub.sqlite").read_bytes()
    with named.serve():
        # The hub goes on for a while and is seen by the witness.
        shell.admit("embassy-a")
        shell.run("audit", "publish")
    for file in hub.glob("hub.sqlite*"):
        file.unlink()
    (hub / "hub.sqlite").write_bytes(backup)
    for file in Path(shell.path("hub-guard")).iterdir():
        file.unlink()
    with serving(shell, port, "--workers", "1") as server:
        # Nobody could be asked, so it started; now the witness is back.
        assert json.loads(answer(port, "/readyz"))["status"] == "ready"
        with named.serve():
            assert server.wait(60) is not None
            _, said = server.communicate()
    assert "could not be asked" in said
    assert "the server stops" in said
    assert "S8-witnessed" in shell.run("check", code=1).stderr
    with named.serve():
        assert "S8-witnessed" in shell.run("serve", "--port", str(port), code=1).stderr
        shell.run("recover", "--yes", *shell.signed_by("asha"))
        shell.run("check")


def test_files_and_a_check_of_everything(made: Shell) -> None:
    assert "HOMEWARD_TILES" in made.run("audit", "tiles", code=2).stderr
    assert made.json("audit", "fsck") == {"ok": True, "faults": {}, "findings": []}
    made.env["HOMEWARD_TILES"] = made.path("tiles")
    assert made.json("audit", "tiles") == {"entries": 0, "files": 0}
    (Path(made.path("tiles")) / "written").parent.mkdir(exist_ok=True)
    (Path(made.path("tiles")) / "written").write_text("1\n")
    words = ["audit", "fsck", "--data-dir", made.path("hub"), "--json"]
    said = made.runner.invoke(_main(), words, env=made.env)
    assert said.exit_code == 1
    assert json.loads(said.stdout)["faults"] == {"file": 1}
    assert "rolled-back" in made.run("audit", "tiles", code=1).stderr


def test_what_a_backup_lost_comes_back_from_an_auditors_copy(named: Witnessed) -> None:
    shell = named.shell
    hub_file = Path(shell.path("hub")) / "hub.sqlite"
    backup = hub_file.read_bytes()
    shell.admit("embassy-a")
    with named.serve():
        shell.run("audit", "publish")
        before = [entry.id for entry in shell.entries()]
        copy = Mirror(Path(shell.path("copy")))
        note = pulled(shell, copy)
        for file in hub_file.parent.glob("hub.sqlite*"):
            file.unlink()
        hub_file.write_bytes(backup)
        assert "audit log is shorter" in shell.run("check", code=1).stderr
        words = ["audit", "recover", "--from-mirror", str(copy.folder), *shell.signed_by("asha")]
        # Without what the witness cosigned, the copy is not believed.
        assert "quorum" in shell.run(*words, code=1).stderr
        copy.keep_checkpoint(len(before), note)
        done = shell.json(*words)
        assert (done["before"], done["size"], done["witnessed"]) == (2, len(before), len(before))
        after = shell.entries()
        assert [entry.id for entry in after[:-2]] == before
        assert (after[-2].act, after[-2].opr) == (Act.HUB_RECOVER, "asha")
        # Agencies are shown no heads over fewer entries than before.
        assert (after[-1].act, Heads.of_entry(after[-1].to_bytes()).covers) == (
            Act.SLICE_HEADS,
            len(after) - 1,
        )
        # The audit log is whole; the directory was put back too, and only its members could bring it back.
        assert "directory log is shorter" in shell.run("check", code=1).stderr
        shell.run("recover", "--yes", *shell.signed_by("asha"))
        assert shell.json("audit", "fsck")["ok"] is True


def pulled(shell: Shell, copy: Mirror) -> str:
    """The copy that an auditor's pull leaves; gives the cosigned checkpoint, which is not in it yet."""
    hub = open_hub(Settings.from_environment(with_defaults({**shell.env, **read_file(hub_env(shell))})))
    with reading(hub.engine) as conn:
        tree = audit_read.head(conn)
    copy.folder.mkdir()
    for tile in tiles_of(tree.size, level=None):
        copy.write_tile(tile, audit_read.bundle(hub, tile.n, tile.width))
    copy.write_checkpoint(audit_log(hub).note(tree))
    note = witnessed.checkpoint(hub, audit_log(hub))
    hub.engine.dispose()
    return note


def hub_env(shell: Shell) -> Path:
    return Path(shell.path("hub")) / "hub.env"
