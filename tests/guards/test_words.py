"""Every text that a program can show has a translation in every language, and no translation is left over.

The texts are found in the source by docs/words.py; these tests judge the committed catalogues by them.
"""

from __future__ import annotations

import ast
import re
import string
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message

from docs import words

ROOT = Path(__file__).parent.parent.parent
LANGUAGES = ("fr", "ar", "ru")
FORMS = {"fr": 2, "ar": 6, "ru": 3}
# What a person types or compares stands in a translation as it stands in English.
TYPED = re.compile(r"`[^`]+`|--[a-z][a-z-]+|\bHOMEWARD_[A-Z_]+(?:=1)?|\bYYYY(?:-MM(?:-DD)?)?")
SCRIPT = {"ar": re.compile("[\u0600-\u06ff]"), "ru": re.compile("[\u0400-\u04ff]")}
SHOWING = (
    "say",
    "alarm",
    "sentence",
    "print_table",
    "say_count",
    "confirm",
    "gettext",
    "ngettext",
    "pgettext",
)


@pytest.fixture(scope="module", params=LANGUAGES)
def catalogue(request: pytest.FixtureRequest) -> Catalog:
    return words.read(request.param)


def texts(message: Message) -> tuple[str, ...]:
    return (message.id,) if isinstance(message.id, str) else tuple(message.id)


def translations(message: Message) -> tuple[str, ...]:
    return (message.string,) if isinstance(message.string, str) else tuple(message.string)


def messages(catalogue: Catalog) -> list[Message]:
    return [message for message in catalogue if message.id]


def values(text: str) -> set[str]:
    return {f"{name}!{how}" if how else name for _, name, _, how in string.Formatter().parse(text) if name}


def code(catalogue: Catalog) -> str:
    return str(catalogue.locale)


def test_every_text_is_translated_and_none_is_left_over(catalogue: Catalog) -> None:
    shown = {(one.context, (one.text, one.many) if one.many else one.text) for one in words.all_texts()}
    kept = {(message.context or "", message.id) for message in messages(catalogue)}
    assert shown - kept == set(), "run `make words`, then translate"
    assert kept - shown == set(), "run `make words`"
    assert [message.id for message in messages(catalogue) if not all(translations(message))] == []


def test_no_translation_is_a_guess(catalogue: Catalog) -> None:
    assert [message.id for message in messages(catalogue) if message.fuzzy] == []


def test_a_translation_has_the_values_of_its_text(catalogue: Catalog) -> None:
    for message in messages(catalogue):
        wanted = values(texts(message)[-1])
        for said in translations(message):
            # A form for none, one or two may say the number in words.
            spare = {"count"} if isinstance(message.id, tuple) else set()
            assert wanted - spare <= values(said) <= wanted, message.id


def test_what_a_person_types_is_the_same_in_every_language(catalogue: Catalog) -> None:
    for message in messages(catalogue):
        wanted = sorted(set(TYPED.findall(texts(message)[0])))
        for said in translations(message):
            assert [one for one in wanted if one not in said] == [], message.id


def test_plural_forms_are_complete(catalogue: Catalog) -> None:
    assert catalogue.num_plurals == FORMS[code(catalogue)]
    counted = [message for message in messages(catalogue) if isinstance(message.id, tuple)]
    assert counted
    assert {len(translations(message)) for message in counted} == {catalogue.num_plurals}


def test_spaces_around_a_text_are_kept(catalogue: Catalog) -> None:
    for message in messages(catalogue):
        for said in translations(message):
            text = texts(message)[0]
            assert (said[:1] == " ") == (text[:1] == " ") or not text.strip("; ,"), text
            assert said[-1:] == " " if text[-1:] == " " else said[-1:] != " ", text


def test_a_sentence_is_in_its_language(catalogue: Catalog) -> None:
    script = SCRIPT.get(code(catalogue))
    for message in messages(catalogue):
        text = texts(message)[0]
        said_words = re.findall(r"[a-z]{3,}", TYPED.sub("", re.sub(r"\{[^}]*\}", "", text)))
        if len(said_words) > 4 and not text.startswith("pip install"):
            for said in translations(message):
                assert said != text
                assert script is None or script.search(said), text


def test_the_compiled_catalogues_are_made_of_the_committed_ones() -> None:
    for language in LANGUAGES:
        for path, data in words.files_of(language).items():
            assert path.read_bytes() == data, f"{path.name} of {language} is stale: run `make words`"


def shown_sentences() -> list[tuple[Path, ast.Call]]:
    found = []
    for folder in words.SHOWN:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and node.args:
                    found.append((path, node))
    return found


def name_of(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def test_no_sentence_is_put_together_where_a_translation_would_miss_it() -> None:
    """An f-string with words in it is another text every time: values belong in a template."""
    put_together = []
    for path, call in shown_sentences():
        of_output = isinstance(call.func, ast.Attribute) and words.is_output(call.func)
        if (call.func.attr not in words.OF_OUTPUT) if of_output else (name_of(call) not in SHOWING):
            continue
        for part in ast.walk(call.args[0]):
            if isinstance(part, ast.JoinedStr) and any(
                re.search(r"[A-Za-z]{2,}", str(one.value))
                for one in part.values
                if isinstance(one, ast.Constant)
            ):
                put_together.append(f"{path.relative_to(ROOT)}:{call.lineno}")
    assert put_together == []
