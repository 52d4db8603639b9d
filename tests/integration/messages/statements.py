"""What a call asks of the database, to be counted, explained, or compared with another call's."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from tests.integration.messages.builders import World

Statement = tuple[str, Any]


@contextmanager
def statements(world: World) -> Iterator[list[Statement]]:
    """Every round trip to the database, with its parameters; an executemany is one."""
    seen: list[Statement] = []

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        seen.append((statement, parameters[0] if many else parameters))

    event.listen(world.hub.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(world.hub.engine, "before_cursor_execute", note)
