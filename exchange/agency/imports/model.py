"""What an import yields: a mapped record with what was left out, or a refusal with its rule.

Values live only in `Imported.fields` and `Imported.to_transcribe`; reasons never repeat them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from exchange_schemas.codec import JsonValue


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A field of the source that was not mapped: its name there and the rule, never its value."""

    field: str
    why: str


@dataclass(frozen=True, slots=True)
class ReleaseFlags:
    """What the source itself says about sharing.

    `purposes` are those the source allows; `needs_basis` is True where it says nothing and the
    holder must decide first (PFIF); `withheld` names the rule that forbids any sending.
    """

    purposes: tuple[str, ...]
    needs_basis: bool
    withheld: str | None


@dataclass(frozen=True, slots=True)
class Imported:
    """One record of the source, mapped to the catalogue."""

    position: int
    source: str
    source_id: str
    fields: Mapping[str, JsonValue]
    flags: ReleaseFlags
    left_out: tuple[LeftOut, ...]
    to_transcribe: tuple[tuple[str, str], ...]
    same_person_hints: tuple[str, ...]
    adult_now: bool
    age_known: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """One record that a rule keeps out: its place in the file, the field and the rule."""

    position: int
    source: str
    field: str
    rule: str
    reason: str
