"""What people read, in their language: English, French, Arabic or Russian."""

from exchange.words.languages import ENGLISH, LANGUAGES, Language, chosen, named_on, preferred
from exchange.words.texts import (
    ISOLATE,
    POP,
    apart,
    gettext,
    in_language,
    isolates_closed,
    language,
    marked,
    ngettext,
    pgettext,
    program_in_language,
    reason,
)

__all__ = [
    "ENGLISH",
    "ISOLATE",
    "LANGUAGES",
    "POP",
    "Language",
    "apart",
    "chosen",
    "gettext",
    "in_language",
    "isolates_closed",
    "language",
    "marked",
    "named_on",
    "ngettext",
    "pgettext",
    "preferred",
    "program_in_language",
    "reason",
]
