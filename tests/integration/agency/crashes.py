"""Dying at every point at which a command leaves something behind: before and after each durable write.

`Crash` is a BaseException, so that no code takes it for an error that it can handle. A dead process writes
nothing more, so every later write fails as well.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from exchange.member import key_changes, new_users
from exchange.member.store import Store
from exchange.member.transport import Transport
from exchange_keys import keyfile

COLLECTIONS = frozenset({"key_change", "key_change_secret", "own_event", "sent", "regrant"})
PATHS = ("/v1/directory/events", "/v1/envelopes")


class Crash(BaseException):
    """The process is gone."""


@dataclass
class Injector:
    """Counts the points; at number `at` the process dies. `met` says what was done there."""

    at: int
    seen: int = 0
    met: list[str] = field(default_factory=list)

    @property
    def fired(self) -> bool:
        """Whether it has died."""
        return self.seen > self.at

    def point(self, what: str) -> None:
        """One point."""
        self.met.append(what)
        if self.seen >= self.at:
            self.seen = self.at + 1
            raise Crash(what)
        self.seen += 1

    def around(self, work: Callable[..., Any], what: Callable[..., str | None]) -> Callable[..., Any]:
        """The same function with a point before and one after, where `what` names it."""

        def run(*args: Any, **options: Any) -> Any:
            name = what(*args, **options)
            if name is None:
                return work(*args, **options)
            self.point(f"before {name}")
            result = work(*args, **options)
            self.point(f"after {name}")
            return result

        return run


@contextmanager
def dying_at(number: int) -> Iterator[Injector]:
    """Within the block the process dies at the point `number`, counted from 0."""
    injector = Injector(number)

    def stored(_store: Store, collection: str, *_rest: Any, **_options: Any) -> str | None:
        return f"store {collection}" if collection in COLLECTIONS else None

    def posted(_hub: Transport, path: str, *_rest: Any, **_options: Any) -> str | None:
        return f"post {path}" if path.startswith(PATHS) else None

    with pytest.MonkeyPatch.context() as patch:
        for owner, name, what in (
            (Store, "put_bytes", stored),
            (Store, "delete", stored),
            (Transport, "post", posted),
            (Transport, "post_bytes", posted),
            (keyfile, "_write", lambda *args, **options: "key file"),
        ):
            patch.setattr(owner, name, injector.around(getattr(owner, name), what))
        replaced = injector.around(os.replace, lambda *args: "user file")
        for module in (key_changes, new_users):
            patch.setattr(module, "os", type("Os", (), {"replace": staticmethod(replaced)}))
        yield injector
