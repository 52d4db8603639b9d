"""Operators forget disclosures and limit auditors: signed, by several where several govern, once."""

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from exchange.hub.admin.hub_act import TYP, AccreditAct, EraseAct, HubAct, HubKeyAct
from exchange.hub.db import open_engine
from exchange.hub.models.auditors import auditor_scope
from exchange.hub.models.log import log_disclosure, log_salt
from exchange.log.commitment import commitment
from exchange_keys import jws
from exchange_keys.jws import Signed
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import b64u, encode
from exchange_schemas.entry import Act
from exchange_schemas.errors import Malformed
from exchange_schemas.ids import AgencyId, Kid
from tests.integration.admin.conftest import Shell, both
from tests.integration.admin.test_operator import added

FAMILY = b64u(os.urandom(16))


def rows(made: Shell, table: Any) -> list[Any]:
    engine = open_engine(made.database_url)
    with engine.connect() as conn:
        found = list(conn.execute(select(table)).all())
    engine.dispose()
    return found


def known(made: Shell, ref: str, scope: str = "cns") -> str:
    """Something to forget; its commitment."""
    engine, salt = open_engine(made.database_url), os.urandom(32)
    with engine.begin() as conn:
        conn.execute(insert(log_salt), {"scope": scope, "ref": ref, "salt": salt})
        row = {"entry_id": b64u(os.urandom(16)), "name": scope, "salt": salt, "value": ref}
        conn.execute(insert(log_disclosure), row)
    engine.dispose()
    return commitment(scope, salt, ref)


@both
def test_one_operator_forgets_a_consent_and_an_envelope(made: Shell) -> None:
    by = made.signed_by("asha")
    for option, scope in (("--consent", "cns"), ("--envelope", "rec")):
        said = known(made, FAMILY, scope)
        done = made.json("audit", "erase", option, FAMILY, *by)
        assert (done["commitment"], done["signed_by"]) == (said, ["asha"])
        last = made.entries()[-1]
        assert (last.act, last.opr, last.cns or last.rec, last.id) == (
            *(Act.DISCLOSURE_ERASE, "asha"),
            *(said, done["entry"]),
        )
    assert rows(made, log_salt) == []
    assert rows(made, log_disclosure) == []
    assert "nothing is kept" in made.run("audit", "erase", "--consent", FAMILY, *by, code=1).stderr
    assert made.entries()[-1].out == "deny"
    made.run("audit", "slices", "--once")


def test_the_command_is_told_one_thing_to_forget(made: Shell) -> None:
    by = made.signed_by("asha")
    for wrong in ([], ["--consent", FAMILY, "--envelope", FAMILY]):
        made.run("audit", "erase", *wrong, *by, code=2)
    made.run("audit", "erase", "--consent", "short", *by, code=1)
    made.run("audit", "erase", "--consent", FAMILY, code=1)


def test_where_two_must_sign_one_alone_forgets_nothing(made: Shell) -> None:
    known(made, FAMILY)
    added(made, "ben", "--quorum", "2")
    said = made.run("audit", "erase", "--consent", FAMILY, *made.signed_by("asha"))
    assert "1 of 2" in said.stdout
    assert len(rows(made, log_salt)) == 1
    again = ["audit", "erase", "--approved", "erase.proposal.json"]
    assert "fewer operators" in made.run(*again, code=1).stderr
    shown = made.run(
        "operator", "sign", "erase.proposal.json", *made.signed_by("ben"), "--yes", data_dir=False
    )
    assert "a consent family" in shown.stderr
    assert FAMILY in shown.stderr
    assert made.json(*again)["signed_by"] == ["asha", "ben"]
    assert made.entries()[-1].opr == "asha/ben"
    assert rows(made, log_salt) == []
    assert "another act" in made.run("audit", "accredit", "--approved", "erase.proposal.json", code=1).stderr
    assert (
        "another move"
        in made.run("keys", "rotate", "audit-log", "--approved", "erase.proposal.json", code=1).stderr
    )


@both
def test_an_auditor_is_limited_and_let_free_again(made: Shell) -> None:
    by = made.signed_by("asha")
    made.run("audit", "accredit", "press-audit", "--agency", "ngo-b", "--agency", "ngo-a", *by)
    assert [(row.auditor, row.about) for row in rows(made, auditor_scope)] == [("press-audit", "ngo-a ngo-b")]
    last = made.entries()[-1]
    assert (last.act, last.own, last.pol) == (
        *(Act.AUDITOR_ACCREDIT, ("ngo-a", "ngo-b", "press-audit")),
        "some:2",
    )
    second = datetime.now(UTC) + timedelta(seconds=1)
    while datetime.now(UTC) < second:
        time.sleep(0.05)
    assert made.json("audit", "accredit", "press-audit", "--all", *by)["about"] is None
    assert rows(made, auditor_scope)[0].about == "*"


def test_the_command_is_told_whom_and_about_whom(made: Shell) -> None:
    by = made.signed_by("asha")
    for wrong in (["press-audit"], ["press-audit", "--all", "--agency", "ngo-a"], ["--all"]):
        made.run("audit", "accredit", *wrong, *by, code=2)
    made.run("audit", "accredit", "UPPER", "--all", *by, code=1)


def test_where_two_must_sign_an_accreditation_goes_round(made: Shell) -> None:
    added(made, "ben", "--quorum", "2")
    made.run("audit", "accredit", "press-audit", "--agency", "ngo-a", *made.signed_by("asha"))
    file = "accredit-press-audit.proposal.json"
    assert rows(made, auditor_scope) == []
    shown = made.run("operator", "sign", file, *made.signed_by("ben"), "--yes", data_dir=False)
    assert "press-audit" in shown.stderr
    done = made.json("audit", "accredit", "--approved", file)
    assert (done["about"], done["signed_by"]) == (["ngo-a"], ["asha", "ben"])
    # The same file does it once.
    assert "something newer" in made.run("audit", "accredit", "--approved", file, code=1).stderr


# -- the act itself --------------------------------------------------------------------------------------

NOW = datetime(2026, 11, 26, 5, tzinfo=UTC)
KEY = SigningKey.from_seed(bytes(32))
ACTS = (
    AccreditAct("exchange.example", AgencyId("press-audit"), (AgencyId("ngo-a"),), NOW),
    AccreditAct("exchange.example", AgencyId("press-audit"), None, NOW),
    EraseAct("exchange.example", "rec", FAMILY, NOW),
    HubKeyAct("exchange.example", "audit-log", "begin", Kid(b64u(bytes(32))), NOW),
)


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.act)
def test_an_act_is_read_from_its_signed_bytes(act: Any) -> None:
    made = HubAct.begin(act, KEY)
    assert made.facts()["origin"] == "exchange.example"
    if isinstance(act, AccreditAct):
        assert made.accreditation() == act
        with pytest.raises(Malformed):
            made.erasure()
    if isinstance(act, EraseAct):
        assert made.erasure() == act
        with pytest.raises(Malformed):
            made.accreditation()


@pytest.mark.parametrize(
    "change",
    [
        {"act": "other"},
        {"more": 1},
        {"v": 2},
        {"about": []},
        {"about": "ngo-a"},
        {"auditor": "UPPER"},
        {"iat": "today"},
    ],
)
def test_an_act_that_says_something_else_is_refused(change: dict[str, Any]) -> None:
    members = json.loads(HubAct.begin(ACTS[0], KEY).signed.payload)
    wrong = HubAct(jws.sign(encode(members | change), TYP, [KEY]))
    with pytest.raises(Malformed):
        wrong.accreditation()


def test_an_act_of_another_scope_is_refused() -> None:
    members = json.loads(HubAct.begin(ACTS[2], KEY).signed.payload)
    wrong = HubAct(Signed(encode(members | {"scope": "req"}), ()))
    with pytest.raises(Malformed):
        wrong.erasure()


def test_an_old_act_is_done_no_more(made: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    added(made, "ben", "--quorum", "2")
    made.run("audit", "accredit", "press-audit", "--all", *made.signed_by("asha"))
    file = "accredit-press-audit.proposal.json"
    made.run("operator", "sign", file, *made.signed_by("ben"), "--yes", data_dir=False)
    monkeypatch.setattr("exchange.hub.admin.hub_act.SIGNED_WITHIN", timedelta(seconds=-1))
    assert "30 days" in made.run("audit", "accredit", "--approved", file, code=1).stderr
    assert Path(made.path(file)).exists()
