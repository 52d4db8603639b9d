"""Evidence leaves its issuer by an approver's hand and passes the auditor's program against the digests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from exchange.agency import Client
from exchange_schemas.errors import ConsentUnknown, NotPermitted
from tests.integration.agency.exchange_world import (
    child_with_decision,
    found_terms,
)
from tests.unit.agency.cli_runner import CommandLine
from tests.unit.auditor.command_line import CommandLine as AuditCommandLine

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]


def test_an_auditor_reads_it_against_the_signed_consent(
    ngo: Client,
    embassy: Client,
    tmp_path: Path,
    command_of: Callable[[Client], CommandLine],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ngo.sync()
    ref = child_with_decision(ngo)
    consent = ngo.consents.grant(ref, to="embassy", terms=found_terms())
    ngo.close()
    command, audit = command_of(ngo), AuditCommandLine(capsys, monkeypatch)
    file, whole = tmp_path / "a.evidence", tmp_path / "b.evidence"
    command("consent", "evidence", consent.cid, file)
    command("consent", "evidence", consent.cid, whole, "--subject")
    assert file.stat().st_mode & 0o077 == 0
    code, found = audit.json("evidence", file)
    assert code == 0
    assert (found["issuer"], found["recipient"], found["ref"]) == ("ngo", "embassy", None)
    assert found["texts"] == {"child": "file 12", "screening": "file 12, form"}
    assert audit.json("evidence", whole)[1]["ref"] == ref
    again = command("consent", "evidence", consent.cid, file, ok=False)
    assert "exists already" in again.err


def test_only_an_approver_of_the_issuer_discloses(ngo: Client, embassy: Client) -> None:
    ngo.sync()
    ref = child_with_decision(ngo)
    consent = ngo.consents.grant(ref, to="embassy", terms=found_terms())
    embassy.sync()
    with pytest.raises(NotPermitted):
        embassy.consents.evidence(consent.cid)
    with pytest.raises(ConsentUnknown):
        ngo.consents.evidence("unknown")
    approver, ngo.session.approver = ngo.session.approver, None
    with pytest.raises(NotPermitted):
        ngo.consents.evidence(consent.cid)
    ngo.session.approver = approver
