"""The catalogue: which fields, purposes, kinds, bases and codes exist; read from catalogue.toml.

Closed: what is not here is refused, never passed through. Rules here are on names only; values are checked
in record.py and message.py.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

from exchange_schemas.errors import FieldDenied, Malformed
from exchange_schemas.value_types import TypeReader, ValueType

Authority = Literal["consent", "reference", "none"]
ConsentSide = Literal["issuer", "recipient"]
Need = tuple[tuple[str, ...], ...]
"""Alternatives, each a group of names: ((separation_date, separation_place), (last_seen,))."""


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """A record field (fields.md). `bucket` is the padded size in bytes, None for an attachment (PADMÉ).

    `sensitivity`: 1 identifying, 2 protected, 3 location or special category. `about`: whose data it is.
    `stage`: what must have happened before it may be sent. `pfif`, `primero`: its source in an import.
    """

    number: int
    name: str
    label: str
    sensitivity: int
    about: frozenset[str]
    bucket: int | None
    purposes: frozenset[str]
    type: ValueType
    per_recipient: bool
    one_recipient: bool
    stage: str | None
    pfif: str | None
    primero: str | None

    def describe(self) -> str:
        """The type in words, for help, OpenAPI and docs."""
        return self.type.describe()


@dataclass(frozen=True, slots=True)
class MessageFieldSpec:
    """A field that a message says about itself; no data about a person. `bucket` in bytes."""

    name: str
    label: str
    bucket: int
    type: ValueType

    def describe(self) -> str:
        """The type in words."""
        return self.type.describe()


@dataclass(frozen=True, slots=True)
class KindSpec:
    """A kind of message: what it rests on, needs and may carry besides; `allowed` is both together.

    `purposes` None: any. `header`: routing members it needs. `some_record_field`: at least one is needed.
    `sent_by`: the side of its consent that sends it, issuer or recipient; None: either, or no consent.
    """

    name: str
    label: str
    authority: Authority
    needs: tuple[Need, ...]
    may: frozenset[str]
    purposes: frozenset[str] | None
    header: frozenset[str]
    some_record_field: bool
    allowed: frozenset[str]
    sent_by: ConsentSide | None = None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All of it, immutable. `purposes`, `bases` are names in the file's order; the labels are in words.

    `fields_for`, `fields_about`, `fields_after`: record fields by purpose, by subject (in alphabetical
    order), by the stage that must have come before.
    """

    version: int
    fields: Mapping[str, FieldSpec]
    message_fields: Mapping[str, MessageFieldSpec]
    kinds: Mapping[str, KindSpec]
    codes: Mapping[str, tuple[str, ...]]
    purpose_labels: Mapping[str, str]
    basis_labels: Mapping[str, str]
    # The record fields as sets, made from `fields`: a decision asks for them with every message.
    record_fields: frozenset[str] = field(init=False)
    fields_for: Mapping[str, frozenset[str]] = field(init=False)
    fields_about: Mapping[str, frozenset[str]] = field(init=False)
    fields_after: Mapping[str, frozenset[str]] = field(init=False)

    def __post_init__(self) -> None:
        specs = self.fields.values()
        for name, value in (
            ("record_fields", frozenset(self.fields)),
            ("fields_for", _grouped((spec.name, spec.purposes) for spec in specs)),
            ("fields_about", _grouped((spec.name, spec.about) for spec in specs)),
            ("fields_after", _grouped((spec.name, (spec.stage,)) for spec in specs if spec.stage)),
        ):
            object.__setattr__(self, name, value)

    @property
    def purposes(self) -> tuple[str, ...]:
        return tuple(self.purpose_labels)

    @property
    def bases(self) -> tuple[str, ...]:
        return tuple(self.basis_labels)

    @property
    def agency_kinds(self) -> tuple[str, ...]:
        return self.codes["agency_kind"]

    @property
    def subjects(self) -> frozenset[str]:
        """Whom a field can be about: child, relative, caregiver."""
        return frozenset(self.fields_about)

    def field(self, name: str) -> FieldSpec:
        """The record field of this name. Raises: FieldDenied when there is none."""
        spec = self.fields.get(name)
        if spec is None:
            raise FieldDenied("the catalogue has no such record field", rule="unknown")
        return spec

    def kind(self, name: str) -> KindSpec:
        """The kind of this name. Raises: Malformed when there is none."""
        spec = self.kinds.get(name)
        if spec is None:
            raise Malformed("kind: the catalogue has no such kind", field="kind", rule="unknown")
        return spec


def _grouped(rows: Iterable[tuple[str, Iterable[str]]]) -> Mapping[str, frozenset[str]]:
    """Names by each of their marks, the marks in alphabetical order."""
    found: dict[str, set[str]] = {}
    for name, marks in rows:
        for mark in marks:
            found.setdefault(mark, set()).add(name)
    return MappingProxyType({mark: frozenset(found[mark]) for mark in sorted(found)})


@cache
def load_catalogue() -> Catalogue:
    """The catalogue that is installed with this package; read once."""
    text = files("exchange_schemas").joinpath("catalogue.toml").read_text("utf-8")
    return catalogue_from(tomllib.loads(text))


def catalogue_from(data: Mapping[str, Any]) -> Catalogue:
    """The catalogue of a parsed file. The file is ours: a wrong one is a KeyError in a test."""
    codes = {name: tuple(items) for name, items in data["codes"].items()}
    types = TypeReader(codes=codes, names=tuple(data["field"]), shared=data["type"])
    return Catalogue(
        version=data["version"],
        fields=MappingProxyType({name: _field(name, spec, types) for name, spec in data["field"].items()}),
        message_fields=MappingProxyType(
            {
                name: MessageFieldSpec(name, spec["label"], spec["bucket"], types.read(spec["type"]))
                for name, spec in data["message"].items()
            }
        ),
        kinds=MappingProxyType(
            {name: _kind(name, spec, frozenset(data["field"])) for name, spec in data["kind"].items()}
        ),
        codes=MappingProxyType(codes),
        purpose_labels=MappingProxyType(data["purpose"]),
        basis_labels=MappingProxyType(data["basis"]),
    )


def _field(name: str, spec: Mapping[str, Any], types: TypeReader) -> FieldSpec:
    return FieldSpec(
        number=spec["number"],
        name=name,
        label=spec["label"],
        sensitivity=spec["class"],
        about=frozenset(spec["about"]),
        bucket=None if spec["bucket"] == 0 else spec["bucket"],
        purposes=frozenset(spec["purposes"]),
        type=types.read(spec["type"]),
        per_recipient=spec.get("per_recipient", False),
        one_recipient=spec.get("one_recipient", False),
        stage=spec.get("stage"),
        pfif=spec.get("pfif"),
        primero=spec.get("primero"),
    )


def _kind(name: str, spec: Mapping[str, Any], record_fields: frozenset[str]) -> KindSpec:
    purposes = spec.get("purposes")
    needs = tuple(tuple(tuple(group.split(" + ")) for group in need.split(" | ")) for need in spec["needs"])
    may = frozenset(spec["may"])
    if spec["records"] in {"any", "some"}:
        may |= record_fields
    return KindSpec(
        name=name,
        label=spec["label"],
        authority=spec["authority"],
        needs=needs,
        may=may,
        purposes=None if purposes is None else frozenset(purposes),
        header=frozenset(spec.get("header", ())),
        some_record_field=spec["records"] == "some",
        allowed=may.union(*(group for need in needs for group in need)),
        sent_by=spec.get("from"),
    )


def check_kind(catalogue: Catalogue, kind: str, fields: Collection[str], *, needs: bool = True) -> None:
    """That a message of this kind has what it needs and nothing that it may not have; names only.

    `needs=False`: only that it has nothing else, for judging some of its fields alone.
    Raises: Malformed for an unknown kind; FieldDenied naming kind and field, rule `allowed` or `needs`.
    """
    spec = catalogue.kind(kind)
    present = frozenset(fields)
    for name in sorted(present - spec.allowed):
        known = name in catalogue.fields or name in catalogue.message_fields
        what = name if known else "a field that the catalogue does not have"
        raise FieldDenied(f"{kind} may not carry {what}", field=name if known else None, rule="allowed")
    if not needs:
        return
    for need in spec.needs:
        if not any(present.issuperset(group) for group in need):
            wording = " or ".join(" and ".join(group) for group in need)
            raise FieldDenied(
                f"{kind} needs {wording}",
                field=need[0][0],
                rule="needs",
                hint="add it; a field of a record must also stand in the consent",
            )
    if spec.some_record_field and present.isdisjoint(catalogue.fields):
        raise FieldDenied(f"{kind} needs at least one record field", rule="needs")


def bucket_of(catalogue: Catalogue, name: str) -> int | None:
    """Padded size in bytes of a record or message field; None for an attachment. Raises: FieldDenied."""
    message = catalogue.message_fields.get(name)
    return catalogue.field(name).bucket if message is None else message.bucket
