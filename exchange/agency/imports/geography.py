"""Country and language names of a source as ISO 3166-1 alpha-2 and ISO 639 codes.

Only exact names and codes count: a fuzzy guess could send a child's file to the wrong country.
"""

import unicodedata
from functools import cache

import pycountry

# Names that sources use and ISO 3166 writes otherwise.
_ALSO = {"russia": "RU", "syria": "SY", "turkey": "TR", "iran": "IR", "moldova": "MD", "vietnam": "VN"}


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.replace("_", " ").replace("-", " ").split())


@cache
def _countries() -> dict[str, str]:
    table: dict[str, str] = {}
    for country in pycountry.countries:
        for attribute in ("alpha_2", "alpha_3", "name", "official_name", "common_name"):
            value = getattr(country, attribute, None)
            if value is not None:
                table[_plain(value)] = country.alpha_2
    return table | _ALSO


@cache
def _languages() -> dict[str, str]:
    table: dict[str, str] = {}
    for language in pycountry.languages:
        code = getattr(language, "alpha_2", None) or language.alpha_3
        for value in (language.alpha_3, language.name, getattr(language, "alpha_2", None)):
            if value is not None:
                table.setdefault(_plain(value), code)
    return table


def country_code(text: str) -> str | None:
    """ISO 3166-1 alpha-2 of a country's name or code; None when it is not exactly one."""
    return _countries().get(_plain(text))


def language_code(text: str) -> str | None:
    """The shortest ISO 639 code (a BCP 47 tag) of a language's English name or code; None if unknown."""
    return _languages().get(_plain(text))
