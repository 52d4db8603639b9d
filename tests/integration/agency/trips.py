"""An office without network, a courier and an embassy, and the sticks that go between them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from exchange.agency import Client
from exchange.member.session import open_session
from exchange_schemas.errors import HubUnreachable
from exchange_schemas.ids import AgencyId
from tests.integration.agency.exchange_world import PASSPHRASE, USER, child_with_decision, found_terms


@dataclass
class Trip:
    """An office without network, the partner that carries for it, and an embassy; sticks in `folder`."""

    office: Client
    courier: Client
    embassy: Client
    folder: Path
    count: int = 0

    def path(self) -> Path:
        self.count += 1
        return self.folder / f"{self.count}.bundle"

    def out(self) -> Path:
        stick = self.path()
        self.office.office.export(stick, to=AgencyId("courier"))
        return stick

    def back(self) -> Path:
        stick = self.path()
        self.courier.courier.bring(stick, office="office", lasts=timedelta(days=7))
        return stick

    def whole(self) -> Path:
        """There and back; the stick that was brought back, not imported yet."""
        self.courier.courier.carry(self.out())
        return self.back()


def unplugged(home: Path) -> Client:
    """The same agency's folder in an office without network."""
    return Client(open_session(home, USER, PASSPHRASE, offline=True))


def offer(client: Client, to: str = "embassy") -> tuple[str, str]:
    """A record and a consent for it, kept until a courier registers it."""
    ref = child_with_decision(client)
    with pytest.raises(HubUnreachable, match="courier"):
        client.consents.grant(ref, to=to, terms=found_terms())
    (info,) = client.consents.each(record=ref)
    return ref, info.cid


def notice(client: Client, ref: str) -> None:
    """A found notice that stays in the spool."""
    with pytest.raises(HubUnreachable):
        client.send("found_notice", to=["embassy"], record=ref)
