"""An error in the reader's language: what its code means, then its own sentence, which is English."""

from __future__ import annotations

from inspect import getdoc

from exchange.words.languages import ENGLISH
from exchange.words.texts import apart, gettext, language, reason
from exchange_schemas.errors import ExchangeError


def summary(error: type[ExchangeError]) -> str:
    """What an error's code means, in English: the first line of what its class says."""
    return (getdoc(error) or "").partition("\n")[0]


def told(error: ExchangeError) -> str:
    """What happened, its rule and code; in another language than English the code's meaning comes first."""
    rule = "" if error.rule is None or error.rule in error.message else f" [{error.rule}]"
    return f"{_detail(error)}{rule} ({error.code})"


def _detail(error: ExchangeError) -> str:
    if language() == ENGLISH:
        return error.message
    return f"{gettext(summary(type(error)))} {apart(reason(error.message, error.field))}"
