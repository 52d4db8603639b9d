"""Writing the cores of one envelope's grants: the bytes of `GrantCore.to_bytes`, at a fraction of its time.

What all grants share is checked and written once, each part once, and only the rest for every recipient:
with 20 recipients of 12 fields, writing whole cores takes longer than sealing to them. The rules are those
of the schema itself, member by member, and a test holds the bytes equal. It must never write a core that
`GrantCore.from_bytes` would refuse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exchange_schemas.codec import Encodable, encode
from exchange_schemas.envelope import GrantCore, PartRef
from exchange_schemas.errors import Malformed
from exchange_schemas.payload import members_of


@dataclass(frozen=True, slots=True)
class WrittenPart:
    """A part's reference and its JSON text, the same in every grant that has it."""

    ref: PartRef
    text: str


class CoreWriter:
    """Writes cores that have the members `common` alike; values as `GrantCore` takes them, None: absent.

    Raises: Malformed, as `GrantCore.to_bytes`.
    """

    def __init__(self, common: Mapping[str, object]) -> None:
        self._values, self._texts = _checked({"v": GrantCore.v, "typ": GrantCore.typ, **common})

    def write(self, own: Mapping[str, object], parts: Sequence[WrittenPart]) -> bytes:
        """The core's bytes with the members `own` and these parts.

        Raises: Malformed (a member, a rule over several members, or too long).
        """
        values, own_texts = _checked(own)
        GrantCore.SCHEMA.whole({**self._values, **values, "parts": tuple(part.ref for part in parts)})
        texts = {**self._texts, **own_texts, "parts": f"[{','.join(part.text for part in parts)}]"}
        data = ("{" + ",".join(f'"{name}":{texts[name]}' for name in sorted(texts)) + "}").encode("ascii")
        if len(data) > GrantCore.LIMIT:
            raise Malformed(f"the grant core is longer than {GrantCore.LIMIT} bytes", rule="limit")
        return data


def write_part(ref: PartRef) -> WrittenPart:
    """A part's reference as JSON text; its id, field, length and digest are the sealer's own."""
    return WrittenPart(ref, f'{{"f":"{ref.f}","len":{ref.len},"p":"{ref.p}","sha256":"{ref.sha256}"}}')


def _text(written: Encodable) -> str:
    """As JSON: every text that passes is an id, a digest, a name or a code, ASCII that needs no escape."""
    if isinstance(written, str):
        return f'"{written}"'
    return str(written) if type(written) is int else encode(written).decode("ascii")


def _checked(members: Mapping[str, object]) -> tuple[dict[str, object], dict[str, str]]:
    """Values and JSON texts of the members that are there, each checked by its own rule of the schema."""
    declared = members_of(GrantCore.SCHEMA)
    values: dict[str, object] = {}
    texts: dict[str, str] = {}
    for name, value in members.items():
        if value is not None:
            written = declared[name].write(value)
            # As it is read back, times to the second.
            values[name] = declared[name].read(written, name)  # type: ignore[arg-type]  # what write() gives
            texts[name] = _text(written)
    return values, texts
