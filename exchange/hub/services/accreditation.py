"""Whose entries an auditor may read: those about all agencies, or about some.

Operators admit an auditor for all; by an act that they sign they limit it to some agencies, also before they
admit it. Every read asks here, so that a limit holds from the next read on. Nobody but an agency of kind
auditor has any accreditation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert

from exchange.hub.models.auditors import auditor_scope
from exchange.hub.services.release import Answer, Caller, Released, Trace, release_admin
from exchange_schemas.entry import Act
from exchange_schemas.errors import Conflict, Forbidden
from exchange_schemas.ids import AgencyId

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Connection

    from exchange.hub.services.hub import Hub
    from exchange.hub.services.unit import Unit
    from exchange_schemas.codec import JsonValue

AUDITOR: Final = "auditor"
_ALL: Final = "*"
_NAMED_MOST: Final = 64
"""More agencies than an entry has room for beside the auditor are counted and not named."""
_SCOPE: Final = select(auditor_scope.c.about).where(auditor_scope.c.auditor == bindparam("me"))
_SINCE: Final = select(auditor_scope.c.since).where(auditor_scope.c.auditor == bindparam("of"))
_NEW: Final = insert(auditor_scope)
_SET: Final = _NEW.on_conflict_do_update(
    index_elements=[auditor_scope.c.auditor],
    set_={"about": _NEW.excluded.about, "since": _NEW.excluded.since},
)


@dataclass(frozen=True, slots=True)
class Accreditation:
    """`about`: the agencies whose entries may be read; None: all."""

    about: frozenset[str] | None

    def covers(self, parties: Iterable[str]) -> bool:
        """Whether an entry with these parties may be read."""
        return self.about is None or not self.about.isdisjoint(parties)

    def told(self) -> list[JsonValue] | None:
        """The agencies as an answer names them."""
        return None if self.about is None else [*sorted(self.about)]


def accreditation_of(conn: Connection, caller: Caller) -> Accreditation:
    """What the caller may read of the log. Raises: Forbidden for who is no auditor."""
    if caller.kind != AUDITOR:
        raise Forbidden("only an agency of kind auditor reads the entries of the log", rule="auditor")
    found = conn.execute(_SCOPE, {"me": caller.agency}).scalar_one_or_none()
    return Accreditation(None if found in (None, _ALL) else frozenset(f"{found}".split(" ")))


def accredit(
    hub: Hub, operators: str, auditor: AgencyId, about: tuple[AgencyId, ...] | None, signed: datetime
) -> Released:
    """Let the auditor read the entries about these agencies, None: about all; logged under who signed.

    The agencies concerned are parties of the entry, so that they see it in their slices.
    Raises: Conflict when operators signed something else about this auditor since; as `release_admin`.
    """
    named = () if about is None or len(about) > _NAMED_MOST else about
    pol = "all" if about is None else f"some:{len(about)}"
    trace = Trace(act=Act.AUDITOR_ACCREDIT, own=(auditor, *named), pol=pol)

    def work(unit: Unit) -> Answer:
        since = unit.conn.execute(_SINCE, {"of": auditor}).scalar_one_or_none()
        if since is not None and since >= int(signed.timestamp()):
            raise Conflict("the operators have signed something newer about this auditor")
        text = _ALL if about is None else " ".join(sorted(set(about)))
        unit.conn.execute(_SET, {"auditor": auditor, "about": text, "since": int(signed.timestamp())})
        return Answer({}, trace)

    return release_admin(hub, operators, trace, work)
