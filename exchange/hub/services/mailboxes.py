"""Positions: the place of a consent or a grant in the lists of the agencies that it concerns.

Each agency has one counter. Whoever takes positions holds the counters' rows until the transaction ends, so
positions become visible in their order: a reader's cursor never passes one that commits later. Counters are
always taken in the order of the agencies' names, after consents and before grants, so that two transactions
cannot wait for one another.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select, text

from exchange.hub.models.envelopes import mailbox
from exchange.hub.sql import Call, Statement, together

HOLD: Final = select(mailbox.c.agency).where(mailbox.c.agency == bindparam("me")).with_for_update()
"""Holds the counter of `me`: none of its deposits can move the head of a chain meanwhile."""


def taking(counts: Mapping[str, int]) -> Call:
    """Takes `counts[agency]` (at least 1) positions for each agency; gives the rows for `taken`."""
    agencies = sorted(counts)
    values = {f"a{at}": agency for at, agency in enumerate(agencies)}
    amounts = {f"n{at}": counts[agency] for at, agency in enumerate(agencies)}
    return Call(_take(len(agencies)), values | amounts)


def taken(counts: Mapping[str, int], rows: list[Any]) -> dict[str, int]:
    """The first position of each agency."""
    return {agency: position - counts[agency] + 1 for agency, position in rows}


def take_positions(conn: Connection, counts: Mapping[str, int]) -> dict[str, int]:
    """Take the positions at once; the first one of each agency."""
    return taken(counts, together(conn, taking(counts))[0].rows)


@cache
def _take(count: int) -> Statement:
    rows = ", ".join(f"(:a{at}, :n{at})" for at in range(count))
    insert = (
        f"INSERT INTO mailbox (agency, position) VALUES {rows}"  # noqa: S608 - names of parameters only
        " ON CONFLICT (agency) DO UPDATE SET position = mailbox.position + excluded.position"
        " RETURNING agency, position"
    )
    return Statement(text(insert).columns(mailbox.c.agency, mailbox.c.position))
