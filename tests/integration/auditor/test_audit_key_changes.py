"""A change of the log's key, seen by auditors who hold a copy: over a real hub."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from exchange.agency import Client
from exchange.auditor.history import Trust
from exchange.auditor.mirror import Mirror
from exchange.auditor.pull import pull
from exchange.auditor.verify import verify_mirror
from exchange.log.checkpoint import LogKey, parse_vkey, vkey
from exchange.member.pins import update_pins
from exchange.member.session import Session
from exchange_keys.signing import SigningKey
from exchange_schemas.errors import (
    CheckpointInvalid,
    ConfigInvalid,
)
from tests.integration.agency.dealings import deal
from tests.integration.agency.exchange_world import Exchange
from tests.integration.auditor.limited import limit, opened, pulled

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]


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
