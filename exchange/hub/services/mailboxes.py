"""Positions: the place of a consent or a grant in the lists of the agencies that it concerns.

Each agency has one counter. Whoever takes positions holds the counters' rows until the transaction ends, so
positions become visible in their order: a reader's cursor never passes one that commits later. Counters are
always taken in the order of the agencies' names, after consents and before grants, so that two transactions
cannot wait for one another.
"""

from collections.abc import Mapping

from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from exchange.hub.models.envelopes import mailbox


def take_positions(conn: Connection, counts: Mapping[str, int]) -> dict[str, int]:
    """Take `counts[agency]` (at least 1) positions for each agency; returns the first one of each.

    One statement, the same text on both databases (SQLite has PostgreSQL's upsert).
    """
    rows = [{"agency": agency, "position": counts[agency]} for agency in sorted(counts)]
    taken = insert(mailbox).values(rows)
    taken = taken.on_conflict_do_update(
        index_elements=[mailbox.c.agency],
        set_={"position": mailbox.c.position + taken.excluded.position},
    )
    last = conn.execute(taken.returning(mailbox.c.agency, mailbox.c.position))
    return {agency: position - counts[agency] + 1 for agency, position in last}
