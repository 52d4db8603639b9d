"""The languages that people read this program in, and how one is chosen. Pure.

English is the language of the source. What programs read (JSON, exit codes, error codes, names of fields and
commands, dates in ISO form) is the same in every language.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

VARIABLE: Final = "HOMEWARD_LANG"
_SYSTEM: Final = ("LC_ALL", "LC_MESSAGES", "LANG")


@dataclass(frozen=True, slots=True)
class Language:
    """`code` is ISO 639-1, `name` what its speakers call it."""

    code: str
    name: str
    right_to_left: bool = False

    @property
    def direction(self) -> str:
        """The value of HTML's `dir`."""
        return "rtl" if self.right_to_left else "ltr"


ENGLISH: Final = Language("en", "English")
LANGUAGES: Final[Mapping[str, Language]] = MappingProxyType(
    {
        one.code: one
        for one in (
            ENGLISH,
            Language("fr", "français"),
            Language("ar", "العربية", right_to_left=True),
            Language("ru", "русский"),
        )
    }
)


def chosen(named: str | None, environ: Mapping[str, str]) -> Language:
    """What was named on the command line, else HOMEWARD_LANG, else the system's; English for any other.

    The first of LC_ALL, LC_MESSAGES and LANG that is set decides, as POSIX has it.
    """
    system = next((environ[name] for name in _SYSTEM if environ.get(name)), "")
    for wanted in (named, environ.get(VARIABLE), system):
        if wanted:
            return LANGUAGES.get(_primary(wanted), ENGLISH)
    return ENGLISH


def preferred(ranges: Iterable[tuple[str, float]]) -> Language:
    """The first that we speak of a reader's languages (tag, quality), which come best first; else English.

    As RFC 4647 section 3.4 looks up: `fr-CA` before `en` means French. A quality of 0 means never.
    """
    for tag, quality in ranges:
        if quality > 0 and (tag == "*" or _primary(tag) in LANGUAGES):
            return LANGUAGES.get(_primary(tag), ENGLISH)
    return ENGLISH


def named_on(line: Sequence[str]) -> str | None:
    """The last --lang of a command line: help is shown, and an error told, before the line is parsed."""
    named = None
    for token, after in zip(line, [*line[1:], ""], strict=True):
        if token == "--":
            break
        if token == "--lang":
            named = after
        elif token.startswith("--lang="):
            named = token.partition("=")[2]
    return named


def _primary(tag: str) -> str:
    """`fr` of `fr_CA.UTF-8` and of `fr-CA`."""
    return tag.replace("-", "_").partition(".")[0].partition("_")[0].lower()
