"""Progress on a terminal, for what takes over a second; silence everywhere else.

It writes to standard error, so that standard output stays what a program can read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from exchange.words import gettext

T = TypeVar("T")
QUIET_SECONDS = 1.0


def counted(items: Iterable[T], what: str, *, unit: str, total: int | None = None) -> Iterator[T]:
    """The items as they come, with a bar that appears after a second."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield from items
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(gettext(unit)),
        TimeRemainingColumn(),
    )
    begun = time.monotonic()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(gettext(what), total=total, visible=False)
        for item in items:
            bar.update(task, advance=1, visible=time.monotonic() - begun > QUIET_SECONDS)
            yield item


@contextmanager
def transfer_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A function (what, bytes done, bytes in all) that shows a transfer which takes over a second."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda what, done, total: None
        return
    begun = time.monotonic()
    with Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), console=console, transient=True
    ) as bar:
        task = bar.add_task("", visible=False)

        def show(what: str, done: int, total: int) -> None:
            visible = time.monotonic() - begun > QUIET_SECONDS
            bar.update(task, description=what, completed=done, total=total, visible=visible)

        yield show


@contextmanager
def steps_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A function (steps done, steps in all) that shows work which takes over a second."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done, total: None
        return
    begun = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(gettext(what), visible=False)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=time.monotonic() - begun > QUIET_SECONDS)

        yield show
