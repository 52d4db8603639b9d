"""Values of fields: for every field of the catalogue legal plaintexts and plaintexts that are none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from exchange_schemas import message, record
from exchange_schemas.catalogue import check_kind, load_catalogue
from exchange_schemas.codec import b64u, encode
from tests.unit.schemas.values import largest
from tests.vectors.recording.bending import Change, bend, faults
from tests.vectors.recording.seeds import Case, code_of

CATALOGUE = load_catalogue()
_WRONG: tuple[Any, ...] = (None, "", "?", " ", 7, -1, True, [], {}, "a\tb", "e\u0301", "x" * 300)
_TEXTS: dict[str, tuple[str, ...]] = {
    "birth_date": ("2019", "2019-03", "2019-03-31", "2019-02-30", "2019-13", "0000", "19", "2019-3", "2019-"),
    "relative_contact": (
        "+962791234567",
        "962791234567",
        "+0123456789",
        "+12345",
        "a.b+c@x-y.example",
        "a@b",
        ".a@b.example",
        "a..b@c.example",
        "a@-b.example",
        "a@b-.example",
        "a" * 65 + "@b.example",
        "a@b@c.example",
        "a@b.example\n",
    ),
    "due_date": ("2026-11-23", "2026-11", "2026-11-31"),
    "child_ref": ("A" * 22, "A" * 21 + "B", "A" * 23, "A" * 21),
    "statement_digest": ("A" * 43, "A" * 42 + "B", "A" * 44),
    "on_behalf_of": ("ngo", "ng", "Ngo", "1ngo", "a" * 40, "a" * 41),
}
_LANGUAGES = (
    "ar",
    "ckb",
    "zh-Hant-TW",
    "es-419",
    "sl-rozaj-biske",
    "de-1996",
    "x-private",
    "AR",
    "ar_JO",
    "a",
    "abcd",
    "zh-Han",
    "de-a-b",
    "en-u-ca",
)


_MORE: dict[str, tuple[Any, ...]] = {
    **_TEXTS,
    "languages": tuple([text] for text in _LANGUAGES),
    "age_range": ({"min": 6, "max": 5, "as_of": "2026-01-01"},),
    "urgent_flags": (["none_known"], ["none_known", "medical_now"], ["medical_now", "medical_now"]),
    "deletion_outcome": (
        {"outcome": "deleted"},
        {"outcome": "deleted", "law": "x", "until": "2026-01-01"},
        {"outcome": "kept_by_law", "law": "x"},
    ),
}


def _changes(name: str, example: Any) -> Iterator[Change]:
    yield {"at": [], "set": example}
    yield from ({"at": [], "set": wrong} for wrong in _WRONG)
    yield from faults(example, _WRONG)
    yield from ({"at": [], "set": value} for value in _MORE.get(name, ()))


def value_file() -> Case:
    """Values by field: `examples` and what becomes of a change of each; plaintexts; names by kind."""
    cases: list[Case] = []
    examples: dict[str, Any] = {}
    for name, spec in [*CATALOGUE.fields.items(), *CATALOGUE.message_fields.items()]:
        if name == "photo":
            continue
        good = largest(spec.type)
        examples[name] = good[:2] if isinstance(good, list) else good
        decode = record.decode_field if name in CATALOGUE.fields else message.decode_field
        for number, change in enumerate(_changes(name, examples[name])):
            data = encode({"v": bend(examples[name], change)})
            error = code_of(lambda decode=decode, name=name, data=data: decode(name, data))
            cases.append({"name": f"{name} {number}", "field": name, "change": change, "error": error})
    return {"examples": examples, "cases": cases, "plaintexts": _plaintexts(), "kinds": list(_kinds())}


def _plaintexts() -> list[Case]:
    wide = encode({"v": largest(CATALOGUE.fields["relatives"].type)})
    texts = {
        "no v": ("sex", b"{}"),
        "a member beside v": ("sex", b'{"v":"female","w":1}'),
        "not an object": ("sex", b'"female"'),
        "with spaces": ("sex", b' {"v" : "female"} '),
        "escaped": ("sex", b'{"v":"\\u0066emale"}'),
        "as long as the bucket": ("sex", b'{"v":"female"}'.ljust(256)),
        "one byte under the bucket": ("sex", b'{"v":"female"}'.ljust(255)),
        "the largest relatives": ("relatives", wide),
        "an unknown field": ("shoe_size", b'{"v":1}'),
    }
    return [
        {
            "name": what,
            "field": field,
            "plaintext": b64u(data),
            "error": code_of(lambda field=field, data=data: record.decode_field(field, data)),
        }
        for what, (field, data) in texts.items()
    ]


def _kinds() -> Iterator[Case]:
    """Every kind with what it needs, without each need, and (`foreign`) with what it may not have."""
    names = [*CATALOGUE.fields, *CATALOGUE.message_fields]
    for kind, spec in CATALOGUE.kinds.items():
        needed = [need[0] for need in spec.needs]
        extra = ["sex"] if spec.some_record_field else []
        full = list(dict.fromkeys([*(name for group in needed for name in group), *extra]))
        sets = {"what it needs": full, "nothing": [], "all that it may": sorted(spec.allowed)}
        for number, group in enumerate(needed):
            sets[f"without need {number + 1}"] = [name for name in full if name not in group]
        for what, fields in sets.items():
            error = code_of(lambda kind=kind, fields=fields: check_kind(CATALOGUE, kind, fields))
            yield {"name": f"{kind}: {what}", "kind": kind, "fields": fields, "error": error}
        foreign = [name for name in names if name not in spec.allowed]
        yield {"name": f"{kind}: foreign", "kind": kind, "fields": full, "foreign": foreign, "error": None}
    yield {"name": "no such kind", "kind": "rumour", "fields": [], "error": "MALFORMED"}
