"""A unit of work: what a service gets while its change and its audit entry share one transaction.

A service must never commit, roll back or open a second transaction while it holds a unit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from exchange.hub.services.hub import Hub
from exchange.hub.sql import Done


@dataclass(frozen=True, slots=True)
class Unit:
    """`conn` is inside the outer transaction, at a savepoint; `now` is one instant for all decisions.

    `entry_id` is the id of the audit entry that this unit will leave; a service may keep it with its row.
    `asked`: what the statements gave that the service asked for with its work, in their order.
    """

    hub: Hub
    conn: Connection
    now: datetime
    entry_id: str
    asked: Sequence[Done] = ()
