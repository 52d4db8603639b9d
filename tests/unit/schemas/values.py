"""Values from the catalogue's types: the largest legal one, and hypothesis strategies for legal ones."""

from functools import cache

from hypothesis import strategies as st

from exchange_schemas.catalogue import load_catalogue
from exchange_schemas.codec import b64u
from exchange_schemas.value_types import (
    CodesType,
    CodeType,
    FieldNameType,
    IntegerType,
    ListType,
    ObjectType,
    TextType,
)

FOUR_BYTES = "\U00010d00"
LARGEST_PLAIN = {
    "partial_date": "2024-12-31",
    "date": "2024-12-31",
    "id": b64u(b"\xff" * 16),
    "digest": b64u(b"\xff" * 32),
    "agency": "a" + "b" * 39,
    "country": "JO",
    "language": "abc-Abcd-123-abcdefgh-abcdefgh",
    "script": "Arab",
    "contact": "a" * 64 + "@" + ".".join(["b" * 63, "c" * 63, "d" * 61]),
}


def largest(kind, n=0):
    """The legal value that takes the most bytes; `n` tells apart the items of a list."""
    if isinstance(kind, TextType):
        wide = min(kind.chars, kind.octets // 4)
        # What four-byte characters leave, in quotes of two bytes each.
        return FOUR_BYTES * wide + '"' * min(kind.chars - wide, (kind.octets - 4 * wide) // 2)
    if isinstance(kind, IntegerType):
        return max((kind.least, kind.most), key=lambda number: len(str(number)))
    if isinstance(kind, CodeType):
        return sorted(kind.codes, key=len, reverse=True)[n % len(kind.codes)]
    if isinstance(kind, CodesType):
        free = [code for code in kind.codes if code not in kind.alone]
        return sorted(free, key=len, reverse=True)[: kind.most]
    if isinstance(kind, FieldNameType):
        return sorted(kind.names, key=len, reverse=True)[n]
    if isinstance(kind, ListType):
        return [largest_item(kind, n) for n in range(kind.most)]
    if isinstance(kind, ObjectType):
        value = {member.name: largest(member.type, n) for member in kind.members}
        if kind.when is not None:
            value[kind.when.member] = kind.when.code
        return value
    return LARGEST_PLAIN[kind.name]


def largest_item(kind, n):
    if kind.unique is None:
        return largest(kind.item, 0)
    item = largest(kind.item, n)
    if kind.unique == ("child_ref",):
        item["child_ref"] = b64u(bytes([n]) * 16)
        item["relation"] = max(load_catalogue().codes["relation"], key=len)
    if kind.unique == () and getattr(kind.item, "name", "") == "id":
        return b64u(bytes([n]) * 16)
    if kind.unique == ():
        item = item if isinstance(kind.item, FieldNameType) else item[:-1] + chr(ord("a") + n)
    return item


TEXTS = st.text(
    st.characters(categories=["Ll", "Lu", "Nd", "Zs", "Po"], max_codepoint=0x2FF, exclude_characters="\xa0"),
    min_size=1,
    max_size=20,
).filter(str.strip)
PLAIN = {
    "partial_date": st.dates().map(str)
    | st.dates().map(lambda day: str(day)[:7])
    | st.dates().map(lambda d: str(d)[:4]),
    "date": st.dates().map(str),
    "id": st.binary(min_size=16, max_size=16).map(b64u),
    "digest": st.binary(min_size=32, max_size=32).map(b64u),
    "agency": st.from_regex("[a-z][a-z0-9-]{2,39}", fullmatch=True),
    "country": st.sampled_from(["JO", "IQ", "SY"]),
    "language": st.sampled_from(["ar", "ckb", "ku-Latn", "zh-Hant-TW", "es-419", "sl-rozaj"]),
    "script": st.sampled_from(["Arab", "Latn"]),
    "contact": st.sampled_from(["+962791234567", "desk@ngo.example", "a.b+c@x-y.example.org"]),
}


@cache
def legal(kind):
    """A strategy for legal values of a type."""
    if isinstance(kind, TextType):
        return TEXTS.map(lambda text: text[: kind.chars // 4 + 1]).filter(str.strip)
    if isinstance(kind, IntegerType):
        return st.integers(kind.least, kind.most)
    if isinstance(kind, CodeType):
        return st.sampled_from(kind.codes)
    if isinstance(kind, CodesType):
        free = [code for code in kind.codes if code not in kind.alone]
        alone = [st.just([code]) for code in kind.alone]
        return st.one_of(st.lists(st.sampled_from(free), min_size=1, max_size=kind.most, unique=True), *alone)
    if isinstance(kind, FieldNameType):
        return st.sampled_from(kind.names)
    if isinstance(kind, ListType):
        key = None if kind.unique is None else (lambda item: identity(kind, item))
        return st.lists(legal(kind.item), min_size=kind.least, max_size=min(kind.most, 3), unique_by=key)
    if isinstance(kind, ObjectType):
        return objects(kind)
    return PLAIN[kind.name]


def identity(kind, item):
    return item if kind.unique == () else tuple(item[name] for name in kind.unique)


def objects(kind):
    needed = {m.name: legal(m.type) for m in kind.members if not m.optional}
    optional = {m.name: legal(m.type) for m in kind.members if m.optional}
    values = st.fixed_dictionaries(needed, optional=optional)
    for low, high in kind.ordered:
        values = values.map(
            lambda v, low=low, high=high: v | dict(zip((low, high), sorted((v[low], v[high])), strict=True))
        )
    if kind.any_of:
        values = values.filter(lambda v: any(name in v for name in kind.any_of))
    if kind.when is not None:
        when = kind.when
        values = values.filter(lambda v: all((n in v) is (v[when.member] == when.code) for n in when.needs))
    return values
