"""A unit of work: what a service gets while its change and its audit entry share one transaction.

A service must never commit, roll back or open a second transaction while it holds a unit.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from exchange.hub.services.hub import Hub


@dataclass(frozen=True, slots=True)
class Unit:
    """`conn` is inside the outer transaction, at a savepoint; `now` is one instant for all decisions.

    `entry_id` is the id of the audit entry that this unit will leave; a service may keep it with its row.
    """

    hub: Hub
    conn: Connection
    now: datetime
    entry_id: str
