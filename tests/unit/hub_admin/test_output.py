"""Output: foreign text cannot steer a terminal, JSON is JSON alone."""

import json

import pytest

from exchange.hub.admin.output import Output, visible
from exchange_schemas.codec import JsonValue

ROWS: list[dict[str, JsonValue]] = [{"name": "[bold]A[/bold]", "n": 1, "rest": "x"}]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (True, "yes"),
        (False, "no"),
        (7, "7"),
        ("plain", "plain"),
        (["a", 1], "a, 1"),
        ({"a": None}, "a -"),
        ("a\x1b[2Jb", "a\\u001b[2Jb"),
        ("a\nb", "a\\u000ab"),
        ("abc\u202edef", "abc\\u202edef"),
        ("اسم", "\u2068اسم\u2069"),
    ],
)
def test_a_value_is_one_harmless_line(value: JsonValue, shown: str) -> None:
    assert visible(value) == shown


def test_rows_are_a_table_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False).rows("title", ROWS, columns=("name", "n"))
    table = capsys.readouterr().out
    assert "[bold]A[/bold]" in table
    assert "title" in table
    Output(as_json=True).rows("title", ROWS, columns=("name",))
    assert json.loads(capsys.readouterr().out) == ROWS


def test_facts_and_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    for as_json in (True, False):
        out = Output(as_json)
        out.facts({"base_url": "x", "ok": True}, title="there")
        out.done("it is done", {"done": True})
        out.line("at once", {"at": 1})
    printed = capsys.readouterr().out
    text = printed[printed.index("there") :]
    assert text == "there\n  base url  x\n  ok        yes\nit is done\nat once\n"
    documents = _documents(printed[: printed.index("there")])
    assert documents == [{"base_url": "x", "ok": True}, {"done": True}, {"at": 1}]


def _documents(text: str) -> list[object]:
    """JSON documents one after another."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(text.rstrip()):
        value, at = decoder.raw_decode(text, at)
        found.append(value)
        at += len(text[at:]) - len(text[at:].lstrip())
    return found


def test_notes_go_to_stderr_so_that_json_stays_clean(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output(as_json=True)
    out.note("careful")
    out.notes({"public_authority": False, "name": "x\x07"})
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "careful\npublic authority: no\nname: x\\u0007\n"
