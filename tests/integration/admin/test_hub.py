"""Commands about the hub itself: deployment, keys, check, db, recover."""

import json
from pathlib import Path

import pytest

from exchange.hub.db import open_engine
from exchange.log.checkpoint import parse_vkey
from exchange_keys.public import ED25519, kid_of
from exchange_schemas.entry import Act
from tests.integration.admin.conftest import Shell, both


@both
def test_the_exported_file_is_what_members_pin(made: Shell) -> None:
    said = made.json("deployment", "export", "homeward.json")
    pins = json.loads(Path("homeward.json").read_text())
    assert said["deployment"] == pins
    assert set(pins) == {"origin", "base_url", "governance", "directory_vkey", "audit_vkey"}
    assert (pins["origin"], pins["governance"]["k"]) == ("exchange.example", 1)
    assert pins["governance"]["pin"] == json.loads(made.init("asha", "--json").stdout)["pin"]
    kids = {one["kind"]: one["kid"] for one in made.json("keys", "list") if one["kind"] != "token"}
    for log in ("audit", "directory"):
        key = parse_vkey(pins[f"{log}_vkey"])
        assert key.name == f"exchange.example/{log}"
        assert kids[f"{log}-log"] == kid_of(ED25519, key.public)
    made.run("deployment", "export", "homeward.json")


def test_the_hubs_own_keys_are_listed_without_a_secret(made: Shell) -> None:
    rows = made.json("keys", "list")
    assert [(row["kind"], row["state"]) for row in rows] == [
        ("token", "current"),
        ("token", "next"),
        ("audit-log", "current"),
        ("directory-log", "current"),
    ]
    assert {row["age_days"] for row in rows} == {0, None}
    assert rows[0]["kid"] in made.run("keys", "list").stdout


def test_the_token_key_is_rotated_by_an_operator_and_not_twice_in_an_hour(made: Shell) -> None:
    before = [row["kid"] for row in made.json("keys", "list")]
    made.keygen("eve")
    made.run("keys", "rotate", "token", *made.signed_by("eve"), code=1)
    made.run("keys", "rotate", "token", *made.signed_by("asha"))
    rows = made.json("keys", "list")
    assert [row["state"] for row in rows[:3]] == ["retired", "current", "next"]
    assert [row["kid"] for row in rows[:2]] == before[:2]
    entry = made.entries()[-1]
    assert (entry.act, entry.out, entry.opr) == (Act.KEY_ROTATE, "allow", "asha")
    assert "less than an hour" in made.run("keys", "rotate", "token", *made.signed_by("asha"), code=1).stderr
    assert made.entries()[-1].out == "deny"


@pytest.mark.parametrize("more", [[], ["--compromised"]])
def test_no_key_is_rotated_when_the_log_cannot_say_so(made: Shell, more: list[str]) -> None:
    before = [row["kid"] for row in made.json("keys", "list")]
    engine = open_engine(made.database_url)
    with engine.begin() as conn:
        conn.exec_driver_sql("ALTER TABLE log_entry RENAME TO away")
    engine.dispose()
    said = made.run("keys", "rotate", "token", *more, *made.signed_by("asha"), code=1)
    assert "AUDIT_UNAVAILABLE" in said.stderr
    assert [row["kid"] for row in made.json("keys", "list")] == before


@both
def test_check_says_what_does_not_hold(bare: Shell) -> None:
    assert "ready" in bare.run("check").stdout
    bare.run("db", "downgrade", "0002")
    said = bare.run("check", code=1)
    assert "S1-schema" in said.stderr


def test_check_needs_the_right_passphrase_of_the_hub(made: Shell) -> None:
    made.secret("hub.pass", "another one, quite wrong")
    assert "(WRONG_PASSPHRASE)" in made.run("check", code=1).stderr


@both
def test_the_tables_move_up_and_down_but_never_over_events(bare: Shell) -> None:
    newest = bare.json("db", "current")["revision"]
    assert bare.json("db", "downgrade", "0002") == {"revision": "0002"}
    bare.run("db", "downgrade", "0001", code=2)
    assert bare.json("db", "upgrade") == {"revision": newest}
    assert bare.json("db", "upgrade") == {"revision": newest}
    bare.run("db", "upgrade", "9999", code=2)


@both
def test_a_missing_database_is_an_error_without_a_traceback(made: Shell, database_kind: str) -> None:
    if database_kind == "sqlite":
        Path(made.path("hub/hub.sqlite")).unlink()
    else:
        made.env["HOMEWARD_DATABASE_URL"] = "postgresql+psycopg://homeward_worker@/nothing?host=/nowhere"
    for words in (["agency", "list"], ["check"], ["operator", "list"]):
        assert made.run(*words, code=1).stderr.startswith("error: ")


@both
def test_a_log_that_was_put_back_is_taken_only_by_an_operator(made: Shell) -> None:
    mark = Path(made.path("hub-guard/audit-checkpoint"))
    mark.write_bytes(b"another log")
    assert "mark" in made.run("check", code=1).stderr
    made.keygen("eve")
    assert "not one of" in made.run("recover", *made.signed_by("eve"), "--yes", code=1).stderr
    made.run("recover", *made.signed_by("asha"), typed="n\n", code=1)
    made.run("recover", *made.signed_by("asha"), typed="y\n")
    made.run("check")
    assert (made.entries()[-1].act, made.entries()[-1].opr) == (Act.HUB_RECOVER, "asha")
