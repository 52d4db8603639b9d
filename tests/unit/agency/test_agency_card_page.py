"""A printed card in each language: its direction, its words, and what people wrote as they wrote it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from exchange.agency.card_page import Watermark, card
from exchange.agency.model import Record, Release
from exchange.words import LANGUAGES, in_language

WHEN = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MARK = Watermark("amal, NGO A", "Dr Haddad <North>", "treatment", WHEN, "9sJxD0xZ3kQe7mPq2LwT4A")
FIELDS = {"sex": "male", "found_with": "unknown", "age_range": {"min": 5, "max": 7, "as_of": "2026-05-01"}}


@pytest.mark.parametrize(
    ("code", "direction", "shown"),
    [
        ("en", "ltr", ("Child&#x27;s record", "Sex", "male", "for Dr Haddad &lt;North&gt;")),
        ("fr", "ltr", ("Dossier de l&#x27;enfant", "Sexe", "masculin", "pour Dr Haddad &lt;North&gt;")),
        ("ar", "rtl", ("سجل الطفل", "الجنس", "ذكر", "Dr Haddad &lt;North&gt;")),
        ("ru", "ltr", ("Карточка ребёнка", "Пол", "мужской", "для: Dr Haddad &lt;North&gt;")),
    ],
)
def test_a_card_is_in_the_readers_language(code: str, direction: str, shown: tuple[str, ...]) -> None:
    record = Record("7Hq2", FIELDS, Release(()), "entered", WHEN, WHEN)
    with in_language(LANGUAGES[code]):
        page = card(record, list(FIELDS), b"\xff\xd8", MARK)
    assert f'<html lang="{code}" dir="{direction}">' in page
    assert [one for one in shown if one not in page] == []
    assert "<bdi>unknown</bdi>" in page.replace("\u2068", "").replace("\u2069", "")
    assert "2026-05-01" in page
    # The line across the page is read from its number on, whatever the language.
    assert '<div class="watermark" dir="ltr"' in page
