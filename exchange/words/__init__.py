"""What people read, in their language: English, French, Arabic or Russian."""

from exchange.words.languages import ENGLISH, LANGUAGES, Language, chosen, named_on
from exchange.words.texts import (
    apart,
    gettext,
    in_language,
    language,
    marked,
    ngettext,
    pgettext,
    program_in_language,
    reason,
)

__all__ = [
    "ENGLISH",
    "LANGUAGES",
    "Language",
    "apart",
    "chosen",
    "gettext",
    "in_language",
    "language",
    "marked",
    "named_on",
    "ngettext",
    "pgettext",
    "program_in_language",
    "reason",
]
