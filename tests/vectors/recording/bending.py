"""One change to a JSON value, as data: small to record, and the same in every language.

A change is `{at: path, …}` with one of: `set` (the new value), `drop` (the member is left out), `repeat` (the
list n times), `merge` (these members instead; null: left out). The path has names and indexes; [] is all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Path = list[str | int]
Change = dict[str, Any]


def bend(value: Any, change: Mapping[str, Any]) -> Any:
    """The value with the change made; the value itself stays as it is."""
    return _at(value, change.get("at", []), change)


def _at(value: Any, path: Path, change: Mapping[str, Any]) -> Any:
    if not path:
        if "repeat" in change:
            return value * change["repeat"]
        if "merge" in change:
            merged = {**value, **change["merge"]}
            return {name: item for name, item in merged.items() if item is not None}
        return change["set"]
    here, rest = path[0], path[1:]
    if not rest and "drop" in change:
        return {name: item for name, item in value.items() if name != here}
    copy = list(value) if isinstance(value, list) else dict(value)
    copy[here] = _at(copy.get(here) if isinstance(copy, dict) else copy[here], rest, change)  # type: ignore[index, call-overload]
    return copy


def faults(value: Any, wrong: Sequence[Any], at: Path | None = None) -> Iterator[Change]:
    """Every member left out, of each wrong value, and one more, at every depth; lists with an item again."""
    here = [] if at is None else at
    if isinstance(value, Mapping):
        yield {"at": [*here, "note"], "set": "x"}
        for name, item in value.items():
            yield {"at": [*here, name], "drop": True}
            yield from _wrong(item, wrong, [*here, name])
    if isinstance(value, list) and value:
        yield {"at": here, "repeat": 2}
        yield {"at": here, "repeat": 50}
        yield from _wrong(value[0], wrong, [*here, 0])


def _wrong(item: Any, wrong: Sequence[Any], at: Path) -> Iterator[Change]:
    for other in wrong:
        if other != item or type(other) is not type(item):
            yield {"at": at, "set": other}
    if isinstance(item, str) and len(item) < 200:
        yield {"at": at, "set": item + "\n"}
        yield {"at": at, "set": item[:-1]}
    yield from faults(item, wrong, at)
