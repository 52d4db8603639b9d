"""An auditor of some agencies, over a real hub: each entry proved, lies refused, and the commands."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from exchange.agency import Client
from exchange.auditor.history import Trust
from exchange.auditor.mirror import Mirror
from exchange.auditor.partial import Partial
from exchange.auditor.pull import LIMITED, pull
from exchange.hub.db import reading
from exchange.hub.services import audit_read
from exchange.log.checkpoint import parse_vkey, vkey
from exchange.member.session import Session
from exchange_keys.signing import SigningKey
from exchange_schemas.entry import Entry
from exchange_schemas.errors import (
    CheckpointInvalid,
    HubRefused,
    LogFork,
    LogIncomplete,
    NotPermitted,
    ProofInvalid,
)
from tests.integration.agency.dealings import deal, log_of
from tests.integration.agency.exchange_world import PASSPHRASE, USER, Exchange
from tests.integration.auditor.limited import Change, changing, limit, opened, pulled, trust_of
from tests.integration.auditor.test_audit_of_a_hub import cut_back, rewrite_first_entry
from tests.unit.agency.cli_runner import secret_file
from tests.unit.auditor.command_line import CommandLine

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]


def test_a_limited_auditor_holds_the_entries_of_its_agencies_each_proved(
    exchange: Exchange, parties: dict[str, Client], auditor: Session, tmp_path: Path
) -> None:
    limit(exchange, "embassy")
    with pytest.raises(NotPermitted) as told:
        pull(Mirror(tmp_path / "part"), auditor.hub, auditor.profile.deployment.audit_vkey)
    assert told.value.rule == LIMITED
    part = pulled(auditor, tmp_path / "part")
    expected = [
        (index, one)
        for index, one in enumerate(log_of(exchange.hub))
        if "embassy" in Entry.from_bytes(one).own
    ]
    assert list(part.entries_from(0)) == expected
    found = part.verify(trust_of(auditor))
    assert (found.integrity, found.entries, found.about) == (True, len(expected), ("embassy",))
    deal(parties["ngo"], parties["embassy"])
    opened(auditor)
    more = part.pull(auditor.hub, auditor.profile.deployment.audit_vkey)
    assert 0 < more.new < more.entries
    assert part.verify(trust_of(auditor)).integrity


def test_a_part_that_was_changed_is_found_out(
    exchange: Exchange, parties: dict[str, Client], auditor: Session, tmp_path: Path
) -> None:
    limit(exchange, "embassy")
    opened(auditor)
    part = pulled(auditor, tmp_path / "part")
    with sqlite3.connect(tmp_path / "part" / "partial.sqlite") as db:
        index, entry = db.execute("SELECT idx, entry FROM entry").fetchone()
        changed = entry.replace(b'"embassy"', b'"embassz"', 1)
        assert changed != entry
        db.execute("UPDATE entry SET entry = ? WHERE idx = ?", (changed, index))
    found = part.verify(trust_of(auditor))
    assert not found.integrity
    assert f"entry {index}" in found.findings[0].text
    stranger = Trust(
        (parse_vkey(vkey(exchange.hub.settings.audit_log, SigningKey.generate().public.raw)),),
        "given",
        datetime.now(UTC),
    )
    assert "tree of" in part.verify(stranger).findings[0].text
    with pytest.raises(LogIncomplete):
        Partial(tmp_path / "none").verify(trust_of(auditor))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda page: page["entries"][0].update(index=page["entries"][1]["index"]), ProofInvalid),
        (lambda page: page["entries"][0].update(path=[]), ProofInvalid),
        (lambda page: page["entries"][0].update(path=None), HubRefused),
        (lambda page: page["entries"][0].update(index="1"), HubRefused),
        (lambda page: page.update(entries=[1]), HubRefused),
        (lambda page: page.update(entries=None), HubRefused),
        (lambda page: page.update(cursor=None), HubRefused),
        (lambda page: page.update(checkpoint="x"), CheckpointInvalid),
    ],
)
def test_a_page_that_lies_is_refused(
    exchange: Exchange,
    parties: dict[str, Client],
    auditor: Session,
    tmp_path: Path,
    change: Change,
    error: Any,
) -> None:
    limit(exchange, "embassy")
    opened(auditor)
    exchange.change = changing("/v1/audit/entries", change)
    with pytest.raises(error):
        pulled(auditor, tmp_path / "part")
    exchange.change = None
    assert pulled(auditor, tmp_path / "part").verify(trust_of(auditor)).integrity


def test_a_log_that_was_cut_or_rewritten_is_refused_by_who_holds_a_part(
    exchange: Exchange, parties: dict[str, Client], auditor: Session, tmp_path: Path
) -> None:
    limit(exchange, "embassy")
    with reading(exchange.hub.engine) as conn:
        old = audit_read.head(conn)
    deal(parties["ngo"], parties["embassy"])
    opened(auditor)
    pulled(auditor, tmp_path / "part")
    rewrite_first_entry(exchange.hub)
    opened(auditor)
    with pytest.raises(LogFork) as told:
        pulled(auditor, tmp_path / "part")
    assert told.value.rule == "forked"
    cut_back(exchange.hub, old)
    auditor.hub.tokens.drop()
    opened(auditor)
    with pytest.raises(LogFork) as told:
        pulled(auditor, tmp_path / "part")
    assert told.value.rule == "rolled-back"


def test_the_commands_tell_a_part_from_the_whole(
    exchange: Exchange,
    parties: dict[str, Client],
    auditor: Session,
    tmp_path: Path,
    audit: CommandLine,
) -> None:
    auditor.close()
    secret = secret_file(tmp_path / "audit.pass", PASSPHRASE)
    home = ["--home", exchange.folder / "open-audit", "--user", USER, "--passphrase-file", secret]
    code, said = audit.json("pull", tmp_path / "log", "--disclosures", *home)
    assert (code, said["complete"]) == (0, True)
    assert said["disclosures"]["new"] > 0
    code, found = audit.json("report", tmp_path / "log", "--vkey", exchange.deployment().audit_vkey)
    assert code == 0
    assert len(found["figures"]["by_consent"]["rows"]) == 2
    code, out, _ = audit.run("pull", tmp_path / "log", "--disclosures", *home)
    assert code == 0
    assert "disclosures: 0 new" in out
    limit(exchange, "embassy", "commission")
    code, said = audit.json("pull", tmp_path / "part", "--disclosures", *home)
    assert (code, said["complete"], said["about"]) == (0, False, ["commission", "embassy"])
    code, out, _ = audit.run("pull", tmp_path / "part", *home)
    assert (code, "NOT complete" in out) == (0, True)
    code, said = audit.json("verify", tmp_path / "part", *home)
    assert (code, said["integrity"], said["complete"]) == (0, True, False)
    code, out, _ = audit.run("verify", tmp_path / "part", "--vkey", exchange.deployment().audit_vkey)
    assert (code, "NOT complete by itself" in out) == (0, True)
    with sqlite3.connect(tmp_path / "part" / "partial.sqlite") as db:
        db.execute("UPDATE entry SET path = x''")
    code, out, _ = audit.run("verify", tmp_path / "part", *home)
    assert (code, "BROKEN" in out) == (2, True)
    code, _, err = audit.run("report", tmp_path / "part", "--json", *home)
    assert (code, "hint" in err) == (4, True)
