"""Who this agency is: the readable file `agency.json` with its name, kind and the pinned deployment.

It holds no secret. Its digest is sealed with the agency's keys, so that changing the pins on disk is noticed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from exchange.member.deployment import MAX_BYTES, Deployment
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import JsonValue, decode, encode
from exchange_schemas.errors import ConfigInvalid, Malformed
from exchange_schemas.ids import AgencyId, check_agency
from exchange_schemas.limits import LIMITS

VERSION: Final = 1
_MEMBERS = {"v", "agency", "name", "kind", "country", "contact", "public_authority", "deployment"}


@dataclass(frozen=True, slots=True)
class Profile:
    """An agency's public description, as its bundle states it. `country` is ISO 3166 alpha-2."""

    agency: AgencyId
    name: str
    kind: str
    country: str
    contact: str
    public_authority: bool
    deployment: Deployment

    def check(self) -> None:
        """Raises: ConfigInvalid naming the member that no directory would accept."""
        _refuse_unless(0 < len(self.name) <= LIMITS.name_chars and self.name.isprintable(), "name")
        _refuse_unless(self.kind in load_catalogue().agency_kinds, "kind")
        country = self.country
        _refuse_unless(len(country) == 2 and country.isascii() and country.isupper(), "country")
        _refuse_unless(
            0 < len(self.contact) <= LIMITS.contact_chars and self.contact.isprintable(), "contact"
        )

    def to_bytes(self) -> bytes:
        """The bytes of `agency.json`."""
        return encode(
            {
                "v": VERSION,
                "agency": self.agency,
                "name": self.name,
                "kind": self.kind,
                "country": self.country,
                "contact": self.contact,
                "public_authority": self.public_authority,
                "deployment": self.deployment.to_json(),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Profile:
        """Read `agency.json` strictly. Raises: ConfigInvalid."""
        try:
            return cls._from_json(decode(data, limit=MAX_BYTES))
        except Malformed as error:
            raise ConfigInvalid(f"agency.json: {error.message}", field=error.field) from error

    @classmethod
    def _from_json(cls, value: dict[str, JsonValue]) -> Profile:
        if set(value) != _MEMBERS or value["v"] != VERSION:
            raise Malformed("not a description of an agency that this version knows")
        deployment, public = value["deployment"], value["public_authority"]
        if not isinstance(deployment, dict) or not isinstance(public, bool):
            raise Malformed("a member has the wrong type")
        profile = cls(
            agency=check_agency(value["agency"], field="agency"),
            name=_text(value, "name"),
            kind=_text(value, "kind"),
            country=_text(value, "country"),
            contact=_text(value, "contact"),
            public_authority=public,
            deployment=Deployment.from_json(deployment),
        )
        profile.check()
        return profile


_RULES = {
    "name": f"1 to {LIMITS.name_chars} printable characters",
    "kind": "one of the agency kinds of the catalogue",
    "country": "two capital letters (ISO 3166)",
    "contact": f"1 to {LIMITS.contact_chars} printable characters",
}


def _refuse_unless(holds: bool, field: str) -> None:
    if not holds:
        raise ConfigInvalid(f"{field}: {_RULES[field]} needed", field=field)


def _text(value: dict[str, JsonValue], field: str) -> str:
    text = value[field]
    if not isinstance(text, str):
        raise Malformed(f"{field}: a text is needed", field=field)
    return text
