"""What people read, in their language: English, French, Arabic or Russian."""

from exchange.member.words.languages import LANGUAGES, Language, chosen
from exchange.member.words.texts import (
    apart,
    gettext,
    in_language,
    language,
    marked,
    ngettext,
    pgettext,
    reason,
)

__all__ = [
    "LANGUAGES",
    "Language",
    "apart",
    "chosen",
    "gettext",
    "in_language",
    "language",
    "marked",
    "ngettext",
    "pgettext",
    "reason",
]
