"""The types that catalogue.toml can say, as data: for the validators, the OpenAPI file, help and docs.

A type describes; it never checks a value (value_members.py does, from these).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

PLAIN = {
    "partial_date": "a date as YYYY, YYYY-MM or YYYY-MM-DD",
    "date": "a date as YYYY-MM-DD",
    "id": "a random id (22 characters of base64url)",
    "digest": "a SHA-256 digest (43 characters of base64url)",
    "agency": "an agency id",
    "country": "a country code (ISO 3166-1 alpha-2)",
    "language": "a language tag (BCP 47)",
    "script": "a script code (ISO 15924)",
    "contact": "a telephone number (+ and digits, E.164) or an e-mail address",
}
"""Types without settings, and what each is in words."""


@dataclass(frozen=True, slots=True)
class PlainType:
    """One of `PLAIN`."""

    name: str

    def describe(self) -> str:
        return PLAIN[self.name]


@dataclass(frozen=True, slots=True)
class TextType:
    """A text of at most `chars` characters that takes at most `octets` bytes in JSON."""

    chars: int
    octets: int

    def describe(self) -> str:
        return f"text of at most {self.chars} characters"


@dataclass(frozen=True, slots=True)
class IntegerType:
    """A whole number from `least` to `most`."""

    least: int
    most: int

    def describe(self) -> str:
        return f"a whole number from {self.least} to {self.most}"


@dataclass(frozen=True, slots=True)
class CodeType:
    """One code of the list `list_name`."""

    list_name: str
    codes: tuple[str, ...]

    def describe(self) -> str:
        return "one of " + ", ".join(self.codes)


@dataclass(frozen=True, slots=True)
class CodesType:
    """1 to `most` different codes of a list; a code in `alone` excludes all others."""

    list_name: str
    codes: tuple[str, ...]
    most: int
    alone: tuple[str, ...]

    def describe(self) -> str:
        alone = "".join(f"; {code} only alone" for code in self.alone)
        return f"1 to {self.most} of {', '.join(self.codes)}{alone}"


@dataclass(frozen=True, slots=True)
class FieldNameType:
    """The name of a record field of this catalogue."""

    names: tuple[str, ...]

    def describe(self) -> str:
        return "the name of a record field"


@dataclass(frozen=True, slots=True)
class ListType:
    """`least` to `most` items. `unique`: members that tell items apart; () the whole item, None none."""

    item: ValueType
    least: int
    most: int
    unique: tuple[str, ...] | None

    def describe(self) -> str:
        return f"{self.least} to {self.most} items, each {self.item.describe()}"


@dataclass(frozen=True, slots=True)
class MemberType:
    """A member of an object type."""

    name: str
    type: ValueType
    optional: bool


@dataclass(frozen=True, slots=True)
class When:
    """Where `member` has the code `code`, all of `needs` must be there; with any other code, none of them."""

    member: str
    code: str
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ObjectType:
    """An object. `ordered`: pairs of members that must not decrease. `any_of`: at least one of these."""

    members: tuple[MemberType, ...]
    ordered: tuple[tuple[str, str], ...]
    any_of: tuple[str, ...]
    when: When | None

    def describe(self) -> str:
        parts = (f"{m.name}{' (optional)' if m.optional else ''}: {m.type.describe()}" for m in self.members)
        return "an object of " + "; ".join(parts)


ValueType: TypeAlias = (
    PlainType | TextType | IntegerType | CodeType | CodesType | FieldNameType | ListType | ObjectType
)


@dataclass(frozen=True, slots=True)
class TypeReader:
    """Reads a `type` of catalogue.toml; `shared` are its `[type.*]`, `names` the record fields."""

    codes: Mapping[str, tuple[str, ...]]
    names: tuple[str, ...]
    shared: Mapping[str, Mapping[str, Any]]

    def read(self, spec: Mapping[str, Any]) -> ValueType:
        """The type that a table of the file says. The file is ours: a wrong one is a KeyError in a test."""
        kind = spec["kind"]
        if kind in self.shared:
            return self.read(self.shared[kind])
        if kind == "text":
            return TextType(spec["chars"], spec.get("octets", 4 * spec["chars"]))
        if kind == "integer":
            return IntegerType(spec["least"], spec["most"])
        if kind == "field":
            return FieldNameType(self.names)
        if kind in {"code", "codes"}:
            return self._code(spec)
        if kind == "list":
            unique = spec.get("unique")
            return ListType(
                item=self.read(spec["item"]),
                least=spec.get("least", 1),
                most=spec["most"],
                unique=None if unique is None else tuple(unique),
            )
        return self._object(spec) if kind == "object" else PlainType(kind)

    def _code(self, spec: Mapping[str, Any]) -> CodeType | CodesType:
        name = spec["list"]
        if spec["kind"] == "code":
            return CodeType(name, self.codes[name])
        return CodesType(name, self.codes[name], spec["most"], tuple(spec.get("alone", ())))

    def _object(self, spec: Mapping[str, Any]) -> ObjectType:
        when = spec.get("when")
        return ObjectType(
            members=tuple(
                MemberType(name, self.read(member), member.get("optional", False))
                for name, member in spec["member"].items()
            ),
            ordered=tuple((low, high) for low, high in spec.get("ordered", ())),
            any_of=tuple(spec.get("any_of", ())),
            when=None if when is None else When(when["member"], when["is"], tuple(when["needs"])),
        )
