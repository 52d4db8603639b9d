"""What a person types for a field, and what each field takes, in the reader's language.

A name is typed as it is spoken, an age as `6-8`, several codes with commas: the catalogue's form is made
here. Whatever is typed in JSON stays as it is. Nothing is guessed, and the catalogue checks the result.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from exchange.agency.wording import code_words, member_label
from exchange.words import gettext
from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import JsonValue
from exchange_schemas.value_types import (
    PLAIN,
    CodesType,
    CodeType,
    FieldNameType,
    IntegerType,
    ListType,
    MemberType,
    ObjectType,
    PlainType,
    TextType,
    ValueType,
)

_AGE = re.compile(r"([0-9]{1,2})(?:-([0-9]{1,2}))?")
_AGE_MEMBERS = {"min", "max", "as_of"}


def typed(fields: Mapping[str, JsonValue], *, today: date) -> dict[str, JsonValue]:
    """The fields in the catalogue's form; an age that was typed is of `today`."""
    known = load_catalogue().fields
    return {
        name: _typed(value, known[name].type, today) if name in known and isinstance(value, str) else value
        for name, value in fields.items()
    }


def _typed(text: str, kind: ValueType, today: date) -> JsonValue:
    if isinstance(kind, CodesType):
        return [part.strip() for part in text.split(",")]
    if isinstance(kind, ListType):
        several = text.split(",") if isinstance(kind.item, PlainType | CodeType) else [text]
        return [_typed(part.strip(), kind.item, today) for part in several]
    if isinstance(kind, ObjectType):
        age = _AGE.fullmatch(text)
        if age is not None and {one.name for one in kind.members} == _AGE_MEMBERS:
            return {"min": int(age[1]), "max": int(age[2] or age[1]), "as_of": today.isoformat()}
        if _text_is_enough(kind):
            return {"text": text}
    return text


def _text_is_enough(kind: ObjectType) -> bool:
    return [one.name for one in kind.members if not one.optional] == ["text"]


def what_it_takes(kind: ValueType) -> str:
    """What is typed for a value of this type, in the reader's language; codes with their meaning."""
    if isinstance(kind, PlainType):
        return gettext(PLAIN[kind.name])
    if isinstance(kind, TextType):
        return gettext("a text of at most {most} characters", most=kind.chars)
    if isinstance(kind, IntegerType):
        return gettext("a whole number from {least} to {most}", least=kind.least, most=kind.most)
    if isinstance(kind, CodeType):
        return gettext("one of: {codes}", codes=_codes(kind.codes))
    if isinstance(kind, CodesType):
        return gettext(
            "up to {most} of these, with commas: {codes}", most=kind.most, codes=_codes(kind.codes)
        )
    if isinstance(kind, FieldNameType):
        return gettext("the name of a field")
    if isinstance(kind, ListType) and isinstance(kind.item, PlainType | CodeType):
        return gettext(
            "up to {most}, with commas; each: {item}", most=kind.most, item=what_it_takes(kind.item)
        )
    if isinstance(kind, ListType):
        return gettext(
            "a JSON list of up to {most}; each: {item}", most=kind.most, item=what_it_takes(kind.item)
        )
    return _object(kind)


def _object(kind: ObjectType) -> str:
    members = gettext("; ").join(_member(one) for one in kind.members)
    whole = gettext("a JSON object: {members}", members=members)
    if {one.name for one in kind.members} == _AGE_MEMBERS:
        return gettext("years, such as 6 or 6-8; or {whole}", whole=whole)
    return gettext("a text; or {whole}", whole=whole) if _text_is_enough(kind) else whole


def _member(one: MemberType) -> str:
    takes = what_it_takes(one.type)
    if one.optional:
        return gettext("{name} (may be left out): {takes}", name=_named(one.name), takes=takes)
    return f"{_named(one.name)}: {takes}"


def _named(name: str) -> str:
    label = member_label(name)
    return name if label == name.replace("_", " ") else f"{name} ({label})"


def _codes(codes: tuple[str, ...]) -> str:
    return ", ".join(
        code if (words := code_words(code)) == code.replace("_", " ") else f"{code} ({words})"
        for code in codes
    )
