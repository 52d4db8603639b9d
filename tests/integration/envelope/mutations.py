"""Mutations of a hub's answer to a recipient, at every level, as hypothesis strategies.

An answer is a JSON tree of texts and numbers; most texts are base64url of bytes, and some of those bytes are
JSON again. Each function takes an answer and gives another one, never the same object.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from exchange_schemas.codec import b64u, unb64u
from exchange_schemas.errors import Malformed

Answer = dict[str, Any]
Path = tuple[str | int, ...]
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
LEVELS = ("manifest", "core", "sealed", "parts", "consent")
"""What of an answer is believed after its checks; the directory's size is only a hint."""


def leaves(value: Any, at: Path = ()) -> list[Path]:
    """The paths of all texts in a JSON tree."""
    if isinstance(value, str):
        return [at]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for key, item in items for path in leaves(item, (*at, key))]


def get(value: Any, path: Path) -> Any:
    for key in path:
        value = value[key]
    return value


def put(answer: Answer, path: Path, new: Any) -> Answer:
    changed = copy.deepcopy(answer)
    get(changed, path[:-1])[path[-1]] = new
    return changed


def texts(answer: Answer) -> list[Path]:
    return [path for level in LEVELS for path in leaves(answer[level], (level,))]


@st.composite
def other_bytes(draw: st.DrawFn, data: bytes, donors: Sequence[bytes]) -> bytes:
    """Bytes with a bit turned, cut, drawn out, or with a run of other bytes in them."""
    at = draw(st.integers(0, max(0, len(data) - 1)))
    how = draw(st.sampled_from(("flip", "cut", "drop", "add", "run", "swap")))
    if how == "flip" and data:
        return data[:at] + bytes([data[at] ^ (1 << draw(st.integers(0, 7)))]) + data[at + 1 :]
    if how == "cut":
        return data[:at]
    if how == "drop":
        return data[:at] + data[at + draw(st.integers(1, 40)) :]
    if how == "add":
        return data[:at] + draw(st.binary(min_size=1, max_size=40)) + data[at:]
    end = min(len(data), at + draw(st.integers(1, 200)))
    if how == "run":
        donor = draw(st.sampled_from(donors))
        return data[:at] + donor[at:end] + data[end:]
    return data[at:end] + data[:at] + data[end:]


def as_bytes(text: str) -> bytes | None:
    """What a text stands for, when it is base64url."""
    try:
        return unb64u(text, field="x")
    except Malformed:
        return None


@st.composite
def bent_bytes(draw: st.DrawFn, answer: Answer, others: Sequence[Answer]) -> Answer:
    """One base64url text stands for other bytes."""
    path = draw(st.sampled_from(texts(answer)))
    data = as_bytes(get(answer, path))
    donors = [found for other in others if (found := as_bytes(_same(other, path))) is not None]
    if data is None:
        return draw(bent_text(answer, others))
    return put(answer, path, b64u(draw(other_bytes(data, donors or [b"\0" * 64]))))


def _same(other: Answer, path: Path) -> str:
    try:
        found = get(other, path)
    except (KeyError, IndexError, TypeError):
        return ""
    return found if isinstance(found, str) else ""


@st.composite
def bent_text(draw: st.DrawFn, answer: Answer, others: Sequence[Answer]) -> Answer:
    """One text has another character, one more or one less; padding and spaces too."""
    path = draw(st.sampled_from(texts(answer)))
    text = get(answer, path)
    at = draw(st.integers(0, max(0, len(text) - 1)))
    char = draw(st.sampled_from((*ALPHABET, "=", " ", "\n", "+", "/", "\0", "é")))
    end = at + draw(st.integers(0, 1))
    return put(answer, path, text[:at] + char + text[end:])


@st.composite
def spliced(draw: st.DrawFn, answer: Answer, others: Sequence[Answer]) -> Answer:
    """A part of the tree, large or small, is that of another answer, or of another place in this one."""
    level = draw(st.sampled_from(LEVELS))
    other = draw(st.sampled_from([*others, answer]))
    if draw(st.booleans()):
        return {**copy.deepcopy(answer), level: copy.deepcopy(other[level])}
    path = draw(st.sampled_from(texts(answer)))
    wanted = [one for one in texts(other) if one[-1] == path[-1]]
    return put(answer, path, get(other, draw(st.sampled_from(wanted)))) if wanted else answer


@st.composite
def dropped(draw: st.DrawFn, answer: Answer, others: Sequence[Answer]) -> Answer:
    """A part, a ciphertext, a signature or the consent is left out, doubled, or comes from elsewhere."""
    changed = copy.deepcopy(answer)
    parts = changed["parts"]
    at = draw(st.integers(0, len(parts) - 1))
    foreign = copy.deepcopy(draw(st.sampled_from(others))["parts"])
    moves: dict[str, Callable[[], object]] = {
        "a part": lambda: parts.pop(at),
        "all parts": parts.clear,
        "a ciphertext": lambda: parts[at].pop("ct"),
        "a part twice": lambda: parts.append(copy.deepcopy(parts[at])),
        "a foreign part": lambda: parts.append(foreign[0]),
        "the consent": lambda: changed.update(consent=None),
        "no signature": lambda: changed["manifest"].update(signatures=[]),
        "two signatures": lambda: changed["manifest"]["signatures"].extend(
            copy.deepcopy(changed["consent"]["signatures"])
        ),
        "no consent signature": lambda: changed["consent"].update(signatures=[]),
        "a member more": lambda: changed["manifest"].update(header={}),
        "a part member more": lambda: parts[at].update(f="sex"),
        "null": lambda: changed.update({draw(st.sampled_from(LEVELS)): None}),
    }
    moves[draw(st.sampled_from(sorted(moves)))]()
    return changed


JSON_PATHS: tuple[Path, ...] = (
    ("core",),
    ("manifest", "payload"),
    ("consent", "payload"),
    ("manifest", "signatures", 0, "protected"),
    ("consent", "signatures", 0, "protected"),
)


@st.composite
def respelled(draw: st.DrawFn, answer: Answer, others: Sequence[Answer]) -> Answer:
    """JSON inside is spelled in another way, or says something else: members dropped, doubled, exchanged."""
    path = draw(st.sampled_from(JSON_PATHS))
    members = json.loads(unb64u(get(answer, path), field="x"))
    theirs = json.loads(unb64u(get(draw(st.sampled_from(others)), path), field="x"))
    name = draw(st.sampled_from(sorted(members)))
    second = draw(st.sampled_from(sorted(members)))
    text = json.dumps(members, separators=(",", ":"))
    again = f"{text[:-1]},{json.dumps(name)}:{json.dumps(theirs.get(name))}}}"
    ways: dict[str, str] = {
        "order": json.dumps(dict(reversed(members.items())), separators=(",", ":")),
        "spaces": json.dumps(members),
        "escapes": text.replace("e", "\\u0065", 1),
        "a member less": json.dumps({key: item for key, item in members.items() if key != name}),
        "a member more": json.dumps({**members, "note": 1}),
        "a member twice": again,
        "theirs": json.dumps({**members, name: theirs.get(name)}, separators=(",", ":")),
        "exchanged": json.dumps(
            {**members, name: members[second], second: members[name]}, separators=(",", ":")
        ),
        "parts in another order": json.dumps(
            {**members, "parts": members.get("parts", [])[::-1]}, separators=(",", ":")
        ),
    }
    return put(answer, path, b64u(ways[draw(st.sampled_from(sorted(ways)))].encode()))


WAYS = (bent_bytes, bent_text, spliced, dropped, respelled)


@st.composite
def mutated(draw: st.DrawFn, answer: Answer, others: Sequence[Answer]) -> Answer:
    """One to three mutations, one after another, as long as the shape allows the next."""
    changed = draw(draw(st.sampled_from(WAYS))(answer, others))
    for _ in range(draw(st.integers(0, 2))):
        if any(changed[level] is None for level in LEVELS) or not changed["parts"]:
            break
        way = draw(st.sampled_from((bent_bytes, bent_text, spliced)))
        changed = draw(way(changed, others))
    return changed


def means_the_same(left: Answer, right: Answer) -> bool:
    """Whether two answers differ in nothing but the order in which the hub lists the parts."""

    def parts(answer: Answer) -> list[str]:
        return sorted(json.dumps(part, sort_keys=True) for part in answer["parts"] or [])

    rest = [level for level in LEVELS if level != "parts"]
    return all(left[level] == right[level] for level in rest) and parts(left) == parts(right)
