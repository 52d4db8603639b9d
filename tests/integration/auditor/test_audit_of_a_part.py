"""An auditor of some agencies, disclosures and their erasure, a change of the log's key: over a real hub."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from exchange.agency import Client
from exchange.auditor.disclosed import Disclosed
from exchange.auditor.history import Trust
from exchange.auditor.mirror import Mirror
from exchange.auditor.partial import Partial
from exchange.auditor.pull import LIMITED, pull
from exchange.auditor.reading import entries_from
from exchange.auditor.report.document import document
from exchange.auditor.report.figures import Figures, Office
from exchange.auditor.verify import verify_mirror
from exchange.hub.db import reading
from exchange.hub.services import accreditation, audit_read
from exchange.hub.services.audit_disclosures import forget
from exchange.log.checkpoint import LogKey, parse_vkey, vkey
from exchange.member.pins import update_pins
from exchange.member.session import Session
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import b64u
from exchange_schemas.entry import Entry
from exchange_schemas.errors import (
    CheckpointInvalid,
    ConfigInvalid,
    HubRefused,
    LogFork,
    LogIncomplete,
    NotPermitted,
    ProofInvalid,
)
from exchange_schemas.ids import AgencyId
from tests.integration.agency.exchange_world import PASSPHRASE, USER, Exchange
from tests.integration.agency.test_agency_audit import deal, log_of
from tests.integration.auditor.test_audit_of_a_hub import cut_back, rewrite_first_entry
from tests.unit.agency.cli_runner import secret_file
from tests.unit.auditor.command_line import CommandLine

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]


@pytest.fixture
def parties(exchange: Exchange) -> Iterator[dict[str, Client]]:
    """An NGO that dealt with an embassy and with a commission."""
    with (
        exchange.joined("ngo") as ngo,
        exchange.joined("embassy", kind="embassy", country="MA", public=True) as embassy,
        exchange.joined("commission", kind="commission") as commission,
    ):
        deal(ngo, embassy)
        deal(ngo, commission)
        yield {"ngo": ngo, "embassy": embassy, "commission": commission}


def limit(exchange: Exchange, *about: str, later: int = 0) -> None:
    names = tuple(map(AgencyId, about)) or None
    signed = datetime.now(UTC) + timedelta(seconds=later)
    accreditation.accredit(exchange.hub, "asha", AgencyId("open-audit"), names, signed)


def opened(session: Session) -> None:
    session.hub.post("/v1/audit/pulls", {"from": 0}, repeatable=False)


def trust_of(session: Session) -> Trust:
    return Trust((parse_vkey(session.profile.deployment.audit_vkey),), "given", datetime.now(UTC))


def pulled(session: Session, folder: Path) -> Partial:
    part = Partial(folder)
    part.pull(session.hub, session.profile.deployment.audit_vkey)
    return part


# -- an auditor of some agencies -------------------------------------------------------------------------


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
    assert f"entry {index}" in found.findings[0]
    stranger = Trust(
        (parse_vkey(vkey(exchange.hub.settings.audit_log, SigningKey.generate().public.raw)),),
        "given",
        datetime.now(UTC),
    )
    assert "tree of" in part.verify(stranger).findings[0]
    with pytest.raises(LogIncomplete):
        Partial(tmp_path / "none").verify(trust_of(auditor))


Change = Callable[[dict[str, Any]], None]


def changing(path: str, change: Change) -> Callable[[str, bytes], bytes]:
    def work(asked: str, body: bytes) -> bytes:
        if not asked.startswith(path):
            return body
        value = json.loads(body)
        change(value)
        return json.dumps(value, separators=(",", ":")).encode()

    return work


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


# -- disclosures -----------------------------------------------------------------------------------------


def disclosed(session: Session, mirror: Mirror) -> Disclosed:
    size = pull(mirror, session.hub, session.profile.deployment.audit_vkey).size
    found = Disclosed(mirror.folder)
    found.pull(session.hub, size, partial(entries_from, mirror, size))
    return found


def families(mirror: Mirror) -> set[str]:
    with sqlite3.connect(mirror.folder / "disclosures.sqlite") as db:
        return {row[0] for row in db.execute("SELECT value FROM disclosed WHERE name = 'cns'")}


def test_a_report_groups_by_what_was_disclosed_and_a_copy_honours_erasure(
    exchange: Exchange, parties: dict[str, Client], auditor: Session, tmp_path: Path
) -> None:
    mirror = Mirror(tmp_path / "log")
    found = disclosed(auditor, mirror)
    known = families(mirror)
    ngo = parties["ngo"].consents
    assert known == {ngo.row(one.cid).consent.family for one in ngo.each()}
    assert len(known) == 2
    figures = Figures(Office(), found.namer())
    assert verify_mirror(mirror, trust_of(auditor), take=figures.count).ok
    assert set(figures.by_consent) == known
    shown = {figure.key: figure for figure in document(figures).figures}
    assert {row[0] for row in shown["by_consent"].rows} == known
    gone = sorted(known)[0]
    forget(exchange.hub, "asha", "cns", gone)
    again = disclosed(auditor, mirror)
    assert families(mirror) == known - {gone}
    assert gone.encode() not in (mirror.folder / "disclosures.sqlite").read_bytes()
    figures = Figures(Office(), again.namer())
    assert verify_mirror(mirror, trust_of(auditor), take=figures.count).ok
    assert set(figures.by_consent) == (known - {gone}) | {""}
    # Somebody who comes later is never shown it.
    later = Mirror(tmp_path / "later")
    disclosed(auditor, later)
    assert families(later) == known - {gone}


def test_a_limited_auditor_s_copy_honours_erasure_too(
    exchange: Exchange, parties: dict[str, Client], auditor: Session, tmp_path: Path
) -> None:
    limit(exchange, "embassy")
    opened(auditor)
    part, found = pulled(auditor, tmp_path / "part"), Disclosed(tmp_path / "part")
    size = part.verify(trust_of(auditor)).size
    assert found.pull(auditor.hub, size, part.entries_from).new > 0
    (family,) = families(Mirror(tmp_path / "part"))
    forget(exchange.hub, "asha", "cns", family)
    opened(auditor)
    part.pull(auditor.hub, auditor.profile.deployment.audit_vkey)
    size = part.verify(trust_of(auditor)).size
    assert found.pull(auditor.hub, size, part.entries_from).erased == 1
    assert families(Mirror(tmp_path / "part")) == set()


def _wrong(item: dict[str, Any]) -> None:
    item.update(value="x" * 22)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda page: _wrong(page["disclosures"][0]), ProofInvalid),
        (lambda page: page["disclosures"][0].update(salt=b64u(bytes(32))), ProofInvalid),
        (lambda page: page["disclosures"][0].update(index=0), ProofInvalid),
        (lambda page: page["disclosures"][0].update(name="req"), ProofInvalid),
        (lambda page: page["disclosures"][0].pop("index"), HubRefused),
        (lambda page: page["disclosures"][0].pop("value"), HubRefused),
        (lambda page: page.update(disclosures=None), HubRefused),
        (lambda page: page.update(disclosures=[1]), HubRefused),
        (lambda page: page.update(next="1"), HubRefused),
    ],
)
def test_a_disclosure_that_is_not_its_entry_s_is_refused(
    exchange: Exchange,
    parties: dict[str, Client],
    auditor: Session,
    tmp_path: Path,
    change: Change,
    error: Any,
) -> None:
    def only_pages(page: dict[str, Any]) -> None:
        if "disclosures" in page:
            change(page)

    exchange.change = changing("/v1/audit/disclosures", only_pages)
    with pytest.raises(error):
        disclosed(auditor, Mirror(tmp_path / "log"))
    exchange.change = None
    disclosed(auditor, Mirror(tmp_path / "log"))


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "disclosures.sqlite").write_bytes(b"x" * 4096)
    with pytest.raises(LogIncomplete):
        Disclosed(tmp_path).pull(None, 0, lambda _start: iter(()))  # type: ignore[arg-type]  # not asked
    (tmp_path / "partial.sqlite").write_bytes(b"x" * 4096)
    with pytest.raises(LogIncomplete):
        Partial(tmp_path).verify(Trust((), "given", datetime.now(UTC)))


# -- the key changes -------------------------------------------------------------------------------------


def change_key(exchange: Exchange, *, finish: bool = False) -> None:
    """The audit log's key changes over, or has; the hub is started again."""
    exchange.stop()
    key = exchange.hub.keys.audit_log
    new = key.current if isinstance(key, LogKey) and finish else LogKey(SigningKey.generate(), key)  # type: ignore[arg-type]  # it is single here
    exchange.hub = replace(exchange.hub, keys=replace(exchange.hub.keys, audit_log=new))
    exchange.start()


def repinned(exchange: Exchange, session: Session) -> Session:
    """The auditor takes the new deployment file while the log signs with both keys."""
    assert update_pins(session, exchange.deployment()) == ["audit_vkey"]
    session.close()
    return exchange.client(exchange.folder / "open-audit").session


def test_a_copy_goes_through_a_change_of_the_log_s_key(
    exchange: Exchange, auditor: Session, tmp_path: Path
) -> None:
    mirror, old = Mirror(tmp_path / "log"), auditor.profile.deployment.audit_vkey
    pull(mirror, auditor.hub, old)
    change_key(exchange)
    # Whoever has not taken the new pin yet still pulls, while both sign.
    pull(mirror, auditor.hub, old)
    new = exchange.deployment().audit_vkey
    session = repinned(exchange, auditor)
    pull(mirror, session.hub, new)
    assert mirror.vkeys == (old, new)
    change_key(exchange, finish=True)
    pull(mirror, session.hub, new)
    keys = tuple(map(parse_vkey, mirror.vkeys))
    now = datetime.now(UTC)
    assert verify_mirror(mirror, Trust(keys, "folder", now)).ok
    assert verify_mirror(mirror, Trust(keys[1:], "given", now, former=keys)).ok
    # The key before signs the newest checkpoint no more.
    assert verify_mirror(mirror, Trust(keys[:1], "given", now, former=keys)).counts == {"unsigned": 1}
    with pytest.raises(CheckpointInvalid):
        pull(mirror, session.hub, old)
    session.close()


def test_a_copy_that_slept_through_the_change_refuses_the_new_key(
    exchange: Exchange, auditor: Session, tmp_path: Path
) -> None:
    mirror, old = Mirror(tmp_path / "log"), auditor.profile.deployment.audit_vkey
    pull(mirror, auditor.hub, old)
    before = mirror.checkpoint
    change_key(exchange)
    session = repinned(exchange, auditor)
    change_key(exchange, finish=True)
    stranger = vkey(exchange.hub.settings.audit_log, SigningKey.generate().public.raw)
    for key in (exchange.deployment().audit_vkey, stranger):
        with pytest.raises(ConfigInvalid, match="does not sign with both"):
            pull(mirror, session.hub, key)
    assert (mirror.vkeys, mirror.checkpoint) == ((old,), before)
    session.close()


def test_a_part_goes_through_a_change_of_the_log_s_key(
    exchange: Exchange, parties: dict[str, Client], auditor: Session, tmp_path: Path
) -> None:
    limit(exchange, "embassy")
    opened(auditor)
    part, old = pulled(auditor, tmp_path / "part"), auditor.profile.deployment.audit_vkey
    change_key(exchange)
    deal(parties["ngo"], parties["embassy"])
    opened(auditor)
    new = exchange.deployment().audit_vkey
    part.pull(auditor.hub, new)
    assert Mirror(tmp_path / "part").vkeys == (old, new)
    keys = (parse_vkey(old), parse_vkey(new))
    assert part.verify(Trust(keys[1:], "given", datetime.now(UTC), former=keys)).integrity
    assert not part.verify(Trust(keys[1:], "given", datetime.now(UTC))).integrity


# -- the commands ----------------------------------------------------------------------------------------


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
