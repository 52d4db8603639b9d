"""What a call asks of the database, to be counted, explained, or compared with another call's."""

from contextlib import AbstractContextManager

from tests.integration.messages.builders import World
from tests.integration.statements import Statement, statements_of

__all__ = ["Statement", "statements"]


def statements(world: World) -> AbstractContextManager[list[Statement]]:
    """Every round trip to the database, with its parameters; an executemany is one."""
    return statements_of(world.hub.engine)
