"""What the log's commitments stand for, disclosed to an auditor, and its erasure: over a real hub."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from exchange.agency import Client
from exchange.auditor.disclosed import Disclosed
from exchange.auditor.history import Trust
from exchange.auditor.mirror import Mirror
from exchange.auditor.partial import Partial
from exchange.auditor.pull import pull
from exchange.auditor.reading import entries_from
from exchange.auditor.report.document import document
from exchange.auditor.report.figures import Figures, Office
from exchange.auditor.verify import verify_mirror
from exchange.hub.services.audit_disclosures import forget
from exchange.member.session import Session
from exchange_schemas.codec import b64u
from exchange_schemas.errors import (
    HubRefused,
    LogIncomplete,
    ProofInvalid,
)
from tests.integration.agency.exchange_world import Exchange
from tests.integration.auditor.limited import Change, changing, limit, opened, pulled, trust_of

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]


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
    with pytest.raises(LogIncomplete):
        Disclosed(tmp_path).namer()("said")


def test_what_was_disclosed_is_found_in_a_folder_of_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "log #1?mode=rw%41"
    folder.mkdir()
    Disclosed(folder).pull(None, 0, lambda _start: iter(()))  # type: ignore[arg-type]  # not asked
    assert Disclosed(folder).namer()("said") is None
