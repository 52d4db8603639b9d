"""Positions: the place of a consent or a grant in the lists of the agencies that it concerns.

Each agency has one counter. Whoever takes positions holds the counters' rows until the transaction ends, so
positions become visible in their order: a reader's cursor never passes one that commits later. Counters are
always taken in the order of the agencies' names, after consents and before grants, so that two transactions
cannot wait for one another.
"""

from collections.abc import Mapping

from sqlalchemy import Connection, text


def take_positions(conn: Connection, counts: Mapping[str, int]) -> dict[str, int]:
    """Take `counts[agency]` (at least 1) positions for each agency; returns the first one of each.

    One statement, the same on both databases.
    """
    agencies = sorted(counts)
    values = {f"a{at}": agency for at, agency in enumerate(agencies)}
    amounts = {f"n{at}": counts[agency] for at, agency in enumerate(agencies)}
    last = conn.execute(text(_statement(len(agencies))), values | amounts)
    return {agency: position - counts[agency] + 1 for agency, position in last}


def _statement(count: int) -> str:
    # As text: SQLAlchemy compiles an INSERT of several rows anew each time, longer than it takes to run it.
    rows = ", ".join(f"(:a{at}, :n{at})" for at in range(count))
    return (
        f"INSERT INTO mailbox (agency, position) VALUES {rows}"  # noqa: S608 - names of parameters only
        " ON CONFLICT (agency) DO UPDATE SET position = mailbox.position + excluded.position"
        " RETURNING agency, position"
    )
