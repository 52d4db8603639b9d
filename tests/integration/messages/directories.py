"""The directory of a tested hub: agencies with real keys, written into its tables.

Its events have tests of their own.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, select, update

from exchange.hub.db import reading, writing
from exchange.hub.models.directory import (
    directory_agency,
    directory_event,
    directory_head,
    directory_key,
)
from exchange.hub.services.agreements import agreements_in
from exchange.hub.services.directory_read import position
from exchange.hub.services.hub import Hub, utc_now
from exchange.hub.services.release import Caller, Proof
from exchange.log.tree import Frontier, leaf_hash
from exchange_keys.jws import sign
from exchange_keys.public import PublicKey
from exchange_keys.signing import SigningKey
from exchange_schemas.agreement import SharingAgreement
from exchange_schemas.codec import b64u, sha256
from exchange_schemas.envelope import NO_PREVIOUS, TreeHead
from exchange_schemas.event import AgreementsEvent
from exchange_schemas.ids import (
    AgencyId,
    Digest,
)
from tests.integration.messages.agencies import Agency

ORIGIN = "exchange.example"
EVIDENCE = Digest(b64u(sha256(b"evidence")))


@dataclass
class Directory:
    """A hub with agencies in its directory."""

    hub: Hub
    agencies: dict[str, Agency] = field(default_factory=dict)
    position: TreeHead = field(default_factory=lambda: TreeHead(size=0, root=NO_PREVIOUS))

    def start_directory(self) -> None:
        """One event, so that there is a position to name."""
        root = os.urandom(32)
        self.position = TreeHead(size=1, root=Digest(b64u(root)))
        event = {"idx": 0, "event": b"{}", "agency": None, "leaf": root, "root": root, "recorded": 0}
        with writing(self.hub.engine) as conn:
            conn.execute(insert(directory_event).values(event))
            conn.execute(update(directory_head).values(size=1, frontier=root))

    def find_directory(self) -> None:
        """The directory as it is; started when there is none yet."""
        with reading(self.hub.engine) as conn:
            size, root = position(conn)
        if size == 0:
            self.start_directory()
        else:
            self.position = TreeHead(size=size, root=Digest(b64u(root)))

    def agree(self, *agreements: SharingAgreement) -> int:
        """The next version of the sharing agreements in the directory's log; its number."""
        with writing(self.hub.engine) as conn:
            row = conn.execute(select(directory_head)).one()
            before = agreements_in(conn, row.agreements)
            version = 1 if before is None else before.version + 1
            event = AgreementsEvent(
                origin=ORIGIN, iat=utc_now().replace(microsecond=0), version=version, agreements=agreements
            )
            data = sign(event.to_bytes(), event.typ, [SigningKey.generate()]).to_bytes()
            leaf = leaf_hash(data)
            tree = Frontier.from_bytes(bytes(row.frontier), size=row.size).append(leaf)
            kept = {"idx": row.size, "event": data, "agency": None, "recorded": 0}
            conn.execute(insert(directory_event).values({**kept, "leaf": leaf, "root": tree.root()}))
            conn.execute(
                update(directory_head).values(size=tree.size, frontier=tree.to_bytes(), agreements=row.size)
            )
        self.position = TreeHead(size=tree.size, root=Digest(b64u(tree.root())))
        return version

    def admit(self, name: str, **changes: Any) -> Agency:
        return self.admit_all({name: changes})[0]

    def admit_all(self, wanted: Mapping[str, Mapping[str, Any]]) -> list[Agency]:
        """Agencies by name with what is not as usual (`kind`, `country`, `public_authority`), all at once."""
        made = [Agency(AgencyId(name)) for name in wanted]
        usual = {"kind": "ngo", "country": "JO", "public_authority": False}
        rows = [
            {
                "agency": agency.id,
                "name": agency.id,
                "contact": "role@example.org",
                "status": "active",
                "root": EVIDENCE,
                "standing_since": 0,
                **usual,
                **wanted[agency.id],
            }
            for agency in made
        ]
        keys = [
            self._key(agency, use, public, holder)
            for agency in made
            for use, public, holder in (
                ("envelope", agency.envelope.public, None),
                ("approver", agency.approver.public, "first"),
                ("approver", agency.second.public, "second"),
                ("enc", agency.enc.public, None),
            )
        ]
        with writing(self.hub.engine) as conn:
            conn.execute(insert(directory_agency), rows)
            conn.execute(insert(directory_key), keys)
        self.agencies.update((agency.id, agency) for agency in made)
        return made

    def add_key(self, agency: Agency, use: str, public: PublicKey, holder: str | None = None) -> None:
        with writing(self.hub.engine) as conn:
            conn.execute(insert(directory_key), self._key(agency, use, public, holder))

    def _key(self, agency: Agency, use: str, public: PublicKey, holder: str | None) -> dict[str, Any]:
        now = int(self.hub.clock().timestamp())
        return {
            "kid": public.kid,
            "agency": agency.id,
            "use": use,
            "alg": public.alg,
            "raw": public.raw,
            "status": "active",
            "nbf": now - 3600,
            "exp": now + 10 * 366 * 86400,
            "holder": holder,
            "event_idx": 0,
        }

    def set_key(self, public: PublicKey, status: str) -> None:
        with writing(self.hub.engine) as conn:
            conn.execute(update(directory_key).where(directory_key.c.kid == public.kid).values(status=status))

    def add_commission(self, name: str) -> None:
        """A commission that takes part; nothing is signed by it."""
        row = {
            "agency": name,
            "name": name,
            "kind": "commission",
            "country": "JO",
            "public_authority": True,
            "contact": "role@example.org",
            "status": "active",
            "root": EVIDENCE,
            "standing_since": 0,
        }
        with writing(self.hub.engine) as conn:
            conn.execute(insert(directory_agency), row)

    def set_agency(self, agency: Agency, status: str) -> None:
        with writing(self.hub.engine) as conn:
            conn.execute(
                update(directory_agency).where(directory_agency.c.agency == agency.id).values(status=status)
            )

    def caller(self, agency: Agency | str, *, kind: str = "ngo") -> Caller:
        """The agency with a proof that was not used yet."""
        # Not with a zero at the end: one in 256 also prunes, and tests count statements.
        used_once = os.urandom(31) + b"\x01"
        proof = Proof(used_once, utc_now() + timedelta(minutes=2), f"h.{os.urandom(60).hex()}.s")
        name = agency if isinstance(agency, str) else agency.id
        return Caller(AgencyId(name), kind, frozenset(), proof, None, os.urandom(16).hex())

    @property
    def now(self) -> datetime:
        return self.hub.clock().replace(microsecond=0)
