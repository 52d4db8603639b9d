"""Disclosures outside the exchange: an agency says that a record's card was printed, and the log has it.

The hub learns field names, a purpose, a basis and a random number of the print, which stands on the paper
and becomes a salted commitment in the entry. It must never learn of a child, of who got the paper, or why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exchange.hub.services.release import Answer, Caller, Released, Trace, release
from exchange_schemas.entry import Act

if TYPE_CHECKING:
    from collections.abc import Collection

    from exchange.hub.services.hub import Hub


@dataclass(frozen=True, slots=True)
class Print:
    """One print: its random number, the fields' names, the purpose and what it rests on."""

    number: str
    fields: Collection[str]
    purpose: str
    basis: str


def note(hub: Hub, caller: Caller, printed: Print) -> Released:
    """Log a print; the same number again adds an entry with the same commitment. Raises: see `release`."""
    trace = Trace(
        act=Act.DISCLOSURE_NOTE,
        fld=tuple(printed.fields),
        pur=printed.purpose,
        eid=printed.number,
        pol=f"basis:{printed.basis}",
    )
    return release(hub, caller, trace, lambda unit: Answer(body={}, trace=trace, status=201))
