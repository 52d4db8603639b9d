"""Texts in the chosen language, from the message catalogues under locale/ (gettext's own format and rules).

The language belongs to the running command or request (a context variable): `in_language` sets it and takes
it back. A text without a translation stays English. A catalogue is read when it is first asked for. Values
are put in by name, and where the text runs from right to left each is isolated, so that an id or a date
cannot rearrange the sentence.
"""

from __future__ import annotations

import gettext as catalogues
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Final

from exchange.words.languages import ENGLISH, LANGUAGES, Language

LOCALE: Final = Path(__file__).with_name("locale")
DOMAIN: Final = "messages"
"""Click asks gettext for its own texts under this name, so that ours and Click's lie in one catalogue."""
ISOLATE, POP = "\u2068", "\u2069"
"""Unicode FSI and PDI: what stands between them keeps its direction to itself."""
_language: ContextVar[Language] = ContextVar("language", default=ENGLISH)


def language() -> Language:
    """The language now."""
    return _language.get()


@contextmanager
def in_language(wanted: Language) -> Iterator[None]:
    """Everything within is said in this language; nothing else that runs at the same time is."""
    before = _language.set(wanted)
    try:
        yield
    finally:
        _language.reset(before)


@contextmanager
def program_in_language(wanted: Language) -> Iterator[None]:
    """The same for a program that does nothing else meanwhile: Click's own texts too.

    Click asks the process for its language, so this must never be used where requests are served.
    """
    kept = os.environ.get("LANGUAGE")
    catalogues.bindtextdomain(DOMAIN, str(LOCALE))
    os.environ["LANGUAGE"] = wanted.code
    try:
        with in_language(wanted):
            yield
    finally:
        if kept is None:
            del os.environ["LANGUAGE"]
        else:
            os.environ["LANGUAGE"] = kept


def gettext(text: str, /, **values: object) -> str:
    """The text in the chosen language, with its {values}."""
    return _filled(_of(language().code).gettext(text), values) if text else text


def ngettext(one: str, many: str, count: int, /, **values: object) -> str:
    """The form of a text that goes with a number, which it may name as {count}."""
    return _filled(_of(language().code).ngettext(one, many, count), {"count": count, **values})


def pgettext(context: str, text: str, /) -> str:
    """A short text whose translation depends on where it stands: a code, a member of a value, a column."""
    return _of(language().code).pgettext(context, text) if text else text


def marked(text: str, /) -> str:
    """A text that is translated later, where it is shown; this marks it for the catalogues."""
    return text


def apart(text: str) -> str:
    """Text of another direction within a sentence: isolated where the language runs from right to left."""
    return f"{ISOLATE}{text}{POP}" if text and language().right_to_left else text


def isolates_closed(text: str) -> bool:
    """Whether every isolate that is opened in the text is closed, and nothing else is."""
    depth = 0
    for char in text:
        depth += (char == ISOLATE) - (char == POP)
        if depth < 0:
            return False
    return depth == 0


def reason(text: str, field: str | None) -> str:
    """A rule's reason in the chosen language; a rule may have put the field's name before it."""
    named = f"{field}: "
    if field is not None and text.startswith(named):
        return f"{named}{gettext(text.removeprefix(named))}"
    return gettext(text)


def _filled(text: str, values: dict[str, object]) -> str:
    if not values:
        return text
    return text.format(**{name: apart(str(value)) for name, value in values.items()})


@cache
def _of(code: str) -> catalogues.NullTranslations:
    wanted = [] if code not in LANGUAGES or code == ENGLISH.code else [code]
    return catalogues.translation(DOMAIN, str(LOCALE), languages=wanted, fallback=True)
