"""What the tests of a limited auditor share: its limits, what it pulls, answers changed on the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from exchange.auditor.history import Trust
from exchange.auditor.partial import Partial
from exchange.hub.services import accreditation
from exchange.log.checkpoint import parse_vkey
from exchange.member.session import Session
from exchange_schemas.ids import AgencyId
from tests.integration.agency.exchange_world import Exchange

Change = Callable[[dict[str, Any]], None]


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


def changing(path: str, change: Change) -> Callable[[str, bytes], bytes]:
    def work(asked: str, body: bytes) -> bytes:
        if not asked.startswith(path):
            return body
        value = json.loads(body)
        change(value)
        return json.dumps(value, separators=(",", ":")).encode()

    return work
