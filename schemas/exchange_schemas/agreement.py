"""Sharing agreements: what agencies of one kind may ever send to agencies of another; and their file.

The file (TOML) is what operators write and read; what they sign is an `agreements` event of the directory
with the same agreements in it (event.py). An agreement only ever narrows: it must never allow what a consent
does not.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from itertools import product
from typing import Any, Final

from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.errors import Malformed
from exchange_schemas.limits import LIMITS
from exchange_schemas.members import Code, ListOf
from exchange_schemas.payload import StrictSchema, read_members
from exchange_schemas.text_rules import refuse

_CATALOGUE = load_catalogue()
_WHY_CHARS: Final = 600
_FILE_BYTES: Final = 256 * 1024


class SharingAgreementSchema(StrictSchema):
    """Lists are sorted, so that one agreement has one form."""

    snd = ListOf(Code(_CATALOGUE.agency_kinds), least=1, most=LIMITS.agreement_kinds, in_order=True)
    rcp = ListOf(Code(_CATALOGUE.agency_kinds), least=1, most=LIMITS.agreement_kinds, in_order=True)
    pur = ListOf(Code(_CATALOGUE.purposes), least=1, most=LIMITS.purposes_per_consent, in_order=True)
    fields = ListOf(  # type: ignore[assignment]  # the attribute is set per instance, from the declarations
        Code(_CATALOGUE.fields), least=1, most=LIMITS.fields_per_consent, in_order=True
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SharingAgreement:
    """Agencies of the kinds `snd` may send these fields to agencies of the kinds `rcp`, for the purposes."""

    snd: tuple[str, ...]
    rcp: tuple[str, ...]
    pur: tuple[str, ...]
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExplainedAgreement:
    """An agreement of a file with its reason; the reason is not signed."""

    agreement: SharingAgreement
    why: str


def check_pairs(agreements: Iterable[SharingAgreement]) -> None:
    """That one agreement alone speaks of each pair of kinds. Raises: Malformed."""
    seen: set[tuple[str, str]] = set()
    for item in agreements:
        pairs = set(product(item.snd, item.rcp))
        twice = sorted(pairs & seen)
        if twice:
            sender, recipient = twice[0]
            refuse("agreements", "unique", f"two agreements speak of {sender} to {recipient}")
        seen |= pairs


def default_file() -> bytes:
    """The file of the agreements that ship with this package."""
    return files("exchange_schemas").joinpath("agreements.toml").read_bytes()


def read_agreements(data: bytes) -> tuple[ExplainedAgreement, ...]:
    """The agreements of a file, in its order; the order inside a list does not matter there.

    Raises: Malformed, naming the agreement by its place in the file.
    """
    if len(data) > _FILE_BYTES:
        raise Malformed(f"the file is longer than {_FILE_BYTES} bytes", field="agreement")
    try:
        found = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        hint = "exchange-hub agreement default"
        raise Malformed("the file of agreements is not TOML", hint=hint) from error
    rows = found.get("agreement")
    if set(found) != {"agreement"} or not isinstance(rows, list):
        raise Malformed("the file needs [[agreement]] and nothing else", field="agreement")
    explained = tuple(_explained(row, number) for number, row in enumerate(rows, 1))
    check_pairs(item.agreement for item in explained)
    return explained


def _explained(row: object, number: int) -> ExplainedAgreement:
    where = f"agreement {number}"
    if not isinstance(row, dict):
        refuse(where, "type", "an agreement is a table")
    members: Mapping[str, Any] = row
    why = members.get("why")
    if not isinstance(why, str) or not 0 < len(why) <= _WHY_CHARS or not why.isprintable():
        rule = f"its reason is needed, in one line of at most {_WHY_CHARS} characters"
        refuse(f"{where}.why", "text", rule)
    ordered = {name: _in_order(value) for name, value in members.items() if name != "why"}
    return ExplainedAgreement(SharingAgreement(**read_members(SharingAgreementSchema, ordered, where)), why)


def _in_order(value: Any) -> Any:
    """A list of names sorted; anything else as it is, for the schema to refuse."""
    names = isinstance(value, list) and all(isinstance(item, str) for item in value)
    return sorted(value) if names else value
