"""The table of what must be refused: every line has a test that is there and that names its code."""

import ast
import re
from pathlib import Path

import pytest

from exchange_schemas.errors import error_codes, error_for

TESTS = Path(__file__).resolve().parents[1]
PAGE = TESTS.parent / "docs" / "threat-model.md"
_ROW = re.compile(
    r"\| (?P<what>.+) \| (?P<code>.+) \| `(?P<file>[a-z0-9_/]+\.py)::(?P<test>test_[a-z0-9_]+)` \|"
)
NO_CODE = {"any", "an alarm"}
# The lines of the protocol's own list, by a word that only they have.
LINES = (
    "core",
    "sealed keys",
    "salt",
    "commitment",
    "tag",
    "last chunk",
    "swapped chunks",
    "context",
    "between fields, grants, envelopes",
    "another recipient's grant",
    "B depositing A's signed bytes",
    "its own content under A's consent",
    "child A's consent",
    "two keys",
    "identity-point",
    "low-order",
    "another type's job",
    "another `typ`",
    "another deployment",
    "re-ordered but equal JSON",
    "field outside the consent",
    "withdrawn",
    "superseded",
    "expired",
    "two processes at once",
    "wrong purpose",
    "drained",
    "revoked",
    "stale",
    "forked",
    "rolled-back",
    "`seq` gap",
    "`seq` replay",
    "late grant",
    "self-grant",
    "leaving out a part",
    "leaving out a grant",
    "rolls back its own jti or entry",
    "restored from a backup",
)


def rows() -> list[re.Match[str]]:
    text = PAGE.read_text("utf-8").split("## What must be refused")[1].split("\n## ")[0]
    listed = [line for line in text.splitlines() if line.startswith("|")][2:]
    found = [_ROW.fullmatch(line) for line in listed]
    assert None not in found, listed[found.index(None)]
    return [row for row in found if row is not None]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["what"])
def test_the_named_test_is_there_and_names_the_code(row: re.Match[str]) -> None:
    source = (TESTS / row["file"]).read_text("utf-8")
    names = [node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    assert row["test"] in names
    code = row["code"].strip("`")
    if code not in NO_CODE:
        assert code in error_codes()
        name = error_for(code).__name__
        assert re.search(rf"\b(?:{code}|{name}|ExchangeError)\b", source), f"{name} is not in {row['file']}"


@pytest.mark.parametrize("line", LINES)
def test_every_line_of_the_protocol_has_a_row(line: str) -> None:
    assert any(line in row["what"] for row in rows())
