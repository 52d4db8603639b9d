"""The keys of the logs are changed by operators: both sign meanwhile, and several operators where needed."""

import json
import os
from pathlib import Path

import pytest

from exchange.hub.admin.config import environment, with_defaults
from exchange.hub.hubkeys import DIRECTORY_LOG, HubKeys, load_hub_keys
from exchange.hub.settings import Settings
from exchange.log.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint, vkey
from exchange_keys.public import PublicKey
from exchange_schemas.entry import Act
from tests.integration.admin.conftest import Shell, both
from tests.integration.admin.test_operator import added


def keys_of(shell: Shell) -> HubKeys:
    env = environment(shell.env, data_dir=Path(shell.path("hub")), config=None)
    return load_hub_keys(Settings.from_environment(with_defaults(env)))


def opens(keys: HubKeys, pin: PublicKey) -> bool:
    note = sign_checkpoint(Checkpoint("l", 0, bytes(32)), keys.directory_log)
    return open_checkpoint(note, [vkey("l", pin.raw)]).size == 0


@both
def test_a_log_key_changes_over_and_is_finished(made: Shell) -> None:
    old = keys_of(made).directory_log.public
    by = made.signed_by("asha")
    said = made.run("keys", "rotate", "directory-log", *by)
    assert "both keys sign" in said.stdout
    assert "deployment export" in said.stderr
    changing = keys_of(made)
    assert changing.directory_log.public != old
    assert opens(changing, old)
    assert opens(changing, changing.directory_log.public)
    states = {(one["kind"], one["state"]) for one in made.json("keys", "list")}
    assert {("directory-log", "changing"), ("directory-log", "before"), ("audit-log", "current")} <= states
    assert "changing already" in made.run("keys", "rotate", "directory-log", *by, code=1).stderr
    assert (
        "both keys sign until" in made.run("keys", "rotate", "directory-log", "--finish", *by, code=1).stderr
    )
    made.run("keys", "rotate", "directory-log", "--finish", "--early", *by)
    with pytest.raises(Exception, match="no pinned key"):
        opens(keys_of(made), old)
    assert [(entry.act, entry.opr) for entry in made.entries()[-2:]] == [(Act.KEY_ROTATE, "asha")] * 2
    assert "is not changing" in made.run("keys", "rotate", "audit-log", "--finish", *by, code=1).stderr


def test_all_of_them_are_changed_at_once(made: Shell) -> None:
    before = keys_of(made)
    made.run("keys", "rotate", "all", *made.signed_by("asha"))
    after = keys_of(made)
    assert after.audit_log.public != before.audit_log.public
    assert after.directory_log.public != before.directory_log.public
    assert len(after.token) > len(before.token)
    made.run("keys", "rotate", "all", "--approved", made.path("hub/hub.env"), code=2)
    made.run("keys", "rotate", "token", code=1)


def test_where_two_must_sign_one_alone_changes_no_log_key(made: Shell) -> None:
    added(made, "ben", "--quorum", "2")
    old = keys_of(made).directory_log.public
    rotate = ["keys", "rotate", "directory-log"]
    said = made.run(*rotate, "--proposal", "act.json", *made.signed_by("asha"))
    assert "1 of 2" in said.stdout
    assert keys_of(made).directory_log.public == old
    assert "fewer operators" in made.run(*rotate, "--approved", "act.json", code=1).stderr
    shown = made.run("operator", "sign", "act.json", *made.signed_by("ben"), "--yes", data_dir=False)
    assert "key: directory-log" in shown.stderr
    assert "another move" in made.run("keys", "rotate", "audit-log", "--approved", "act.json", code=1).stderr
    done = made.json(*rotate, "--approved", "act.json")
    assert (done["state"], done["signed_by"]) == ("changing", ["asha", "ben"])
    assert made.entries()[-1].opr == "asha/ben"
    said = made.run(*rotate, "--approved", "act.json", "--finish", "--early", code=1)
    assert "another move" in said.stderr
    changed = json.loads(Path("act.json").read_text())
    changed["signatures"] = changed["signatures"][:1] * 2
    Path("act.json").write_text(json.dumps(changed))
    made.run(*rotate, "--approved", "act.json", "--finish", "--early", code=1)


def test_what_is_overdue_is_named_with_its_remedy(made: Shell) -> None:
    assert made.json("keys", "check") == []
    file = Path(made.path("hub")) / "keys" / f"{DIRECTORY_LOG}.key"
    long_ago = file.stat().st_mtime - 3 * 365 * 86400
    os.utime(file, (long_ago, long_ago))
    said = made.run("keys", "check", "--json", code=1)
    (late,) = json.loads(said.stdout)
    assert (late["kind"], late["overdue"]) == ("directory-log", True)
    assert "exchange-hub keys rotate directory-log" in late["next"]


def test_where_two_must_sign_one_alone_rotates_no_token_key_in_calm(made: Shell) -> None:
    added(made, "ben", "--quorum", "2")
    before = [one.key.public.kid for one in keys_of(made).token]
    rotate = ["keys", "rotate", "token"]
    said = made.run(*rotate, *made.signed_by("asha"))
    assert "1 of 2" in said.stdout
    assert "keys rotate token --approved token-key.proposal.json" in said.stderr
    assert [one.key.public.kid for one in keys_of(made).token] == before
    papers = ("--approved", "token-key.proposal.json")
    assert "fewer operators" in made.run(*rotate, *papers, code=1).stderr
    made.run("operator", "sign", papers[1], *made.signed_by("ben"), "--yes", data_dir=False)
    assert "another move" in made.run("keys", "rotate", "audit-log", *papers, code=1).stderr
    assert made.json(*rotate, *papers)["signed_by"] == ["asha", "ben"]
    assert (made.entries()[-1].act, made.entries()[-1].opr) == (Act.KEY_ROTATE, "asha/ben")
    assert len(keys_of(made).token) > len(before)
    # The file was good for that one key.
    assert "another move" in made.run(*rotate, *papers, code=1).stderr


def test_stolen_token_keys_are_replaced_by_one_operator_even_where_two_must_sign(made: Shell) -> None:
    added(made, "ben", "--quorum", "2")
    before = {one.key.public.kid for one in keys_of(made).token}
    made.run("keys", "rotate", "token", "--compromised", *made.signed_by("ben"))
    assert before.isdisjoint(one.key.public.kid for one in keys_of(made).token)
    assert (made.entries()[-1].pol, made.entries()[-1].opr) == ("token:compromised", "ben")
    made.run(
        "keys", "rotate", "token", "--compromised", "--proposal", "x.json", *made.signed_by("ben"), code=2
    )


def test_a_forged_signature_is_no_second_one(made: Shell) -> None:
    added(made, "ben", "--quorum", "2")
    made.run("keys", "rotate", "token", *made.signed_by("asha"))
    made.run("operator", "sign", "token-key.proposal.json", *made.signed_by("ben"), "--yes", data_dir=False)
    stranger = made.signed_by("asha")
    changed = json.loads(Path("token-key.proposal.json").read_text())
    changed["signatures"][1]["signature"] = changed["signatures"][0]["signature"]
    Path("forged.json").write_text(json.dumps(changed))
    made.run("keys", "rotate", "token", "--approved", "forged.json", *stranger, code=1)
