"""`exchange-hub retain` and `exchange-hub destructions`: counted, done, said; repeating finds nothing."""

import json
import os
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from exchange.hub.db import open_engine, writing
from exchange.hub.models.replay import replay
from exchange_schemas.entry import Act
from tests.integration.admin.conftest import Shell, both

OLD = datetime.now(UTC) - timedelta(days=3)


def spent(shell: Shell) -> None:
    """A proof that expired, and a blob that no row stands for."""
    engine = open_engine(shell.database_url)
    with writing(engine) as conn:
        conn.execute(replay.insert().values(jti_hash=b"y" * 32, expires=int(OLD.timestamp())))
    engine.dispose()


def orphan(shell: Shell) -> Path:
    data = b"no row stands for this"
    name = sha256(data).hexdigest()
    path = shell.folder / "hub" / "blobs" / name[:2] / name
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    os.utime(path, (OLD.timestamp(), OLD.timestamp()))
    return path


@both
def test_what_expired_goes_and_a_statement_says_so(made: Shell) -> None:
    spent(made)
    blob = orphan(made)
    before = len(made.entries())
    dry = made.json("retain", "--dry-run")
    assert dry["destroyed"] == {"blobs": 1, "proofs": 1}
    assert dry["statements"] == []
    assert blob.exists()
    assert len(made.entries()) == before
    list_file = made.path("destroyed.jsonl")
    done = made.json("retain", "--commitments", list_file)
    assert done["destroyed"] == {"blobs": 1, "proofs": 1}
    assert not blob.exists()
    (statement,) = done["statements"]
    entry = made.entries()[-1]
    assert (entry.act, entry.opr) == (Act.RETENTION_DESTROY, "hub")
    assert (entry.pol, entry.id) == (f"sha256:{statement['digest']}", statement["entry"])
    (line,) = Path(list_file).read_text().splitlines()
    assert json.loads(line)["statement"] == statement["digest"]
    assert len(json.loads(line)["commitments"]) == statement["commitments"]["count"] == 1
    assert made.json("destructions") == [statement]
    assert made.json("retain")["destroyed"] == {}
    assert made.entries()[-1].id == entry.id
    assert "nothing" in made.run("retain").stdout


def test_a_file_of_commitments_is_never_written_over(made: Shell) -> None:
    spent(made)
    there = made.secret("there.jsonl", "precious")
    before = len(made.entries())
    assert "exists already" in made.run("retain", "--commitments", there, code=1).stderr
    assert Path(there).read_text() == "precious\n"
    # Nothing was destroyed that no list would have told of.
    assert len(made.entries()) == before


@pytest.mark.parametrize("days", ["0", "366", "-1", "many"])
def test_the_keeping_period_has_limits(made: Shell, days: str) -> None:
    made.env["HOMEWARD_KEEP_DELIVERED_DAYS"] = days
    assert "HOMEWARD_KEEP_DELIVERED_DAYS" in made.run("retain", code=2).stderr
