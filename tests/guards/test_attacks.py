"""The table of attacks has tests for each, and two that no request shows are here.

No caller makes a worker of the hub ask anybody (23), and no pattern takes more than linear time (22).
"""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import pytest

import exchange.hub
import exchange_keys
import exchange_schemas
from exchange.hub.api.schemas import Pattern
from exchange.hub.app import described_app
from exchange.hub.openapi import BASE_URL

ROOT = Path(__file__).resolve().parents[2]
HUB = ROOT / "exchange" / "hub"
TESTS = ROOT / "tests"
_ROW = re.compile(r"\| ([0-9]+) \| [^|]+ \| [^|]+ \| ([^|]+) \|")
_TEST = re.compile(r"`([a-z0-9_/]+\.py)::(test_attack_[0-9_]+)\*`")
# What could open a connection to an address that a caller named.
CLIENTS = {"requests", "urllib3", "httpx", "ftplib", "smtplib", "telnetlib", "xmlrpc", "asyncio", "ssl"}
# What calls the witnesses that the operator named, at start and from the publisher's own process; and the
# command that asks the hub's own address.
CALLS_WITNESSES = {
    *("services/visits.py", "services/publishing.py", "services/witness_guard.py"),
    "admin/public.py",
}
NOT_IN_A_REQUEST = {"visits", "publishing", "publish_loop", "witness_guard"}
# Looks whether its own port is free, and connects to nothing.
MAY_USE_SOCKETS = {"admin/serve.py"}
# Tries the certificate that the hub serves with, and connects to nothing.
MAY_READ_CERTIFICATES = {"admin/tls.py"}
# Tells agencies' endpoints that something waits, in a process of its own; its rules have tests of their own.
SENDER = {"webhooks/post.py"}


def table() -> dict[str, set[tuple[str, str]]]:
    """Of each number in docs/threat-model.md the files with the beginnings of their tests' names."""
    page = (ROOT / "docs" / "threat-model.md").read_text("utf-8")
    section = page.split("## Attacks on tokens and requests\n")[1].split("\n## ")[0]
    return {number: set(_TEST.findall(cell)) for number, cell in _ROW.findall(section)}


@cache
def named_attacks() -> set[tuple[str, str]]:
    """Every test of an attack: its file and its name."""
    return {
        (str(path.relative_to(TESTS)), node.name)
        for path in TESTS.rglob("test_*.py")
        if "node_modules" not in path.parts
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_attack_")
    }


def test_all_25_attacks_are_listed() -> None:
    assert list(table()) == [str(number) for number in range(1, 26)]


@pytest.mark.parametrize("number", [str(number) for number in range(1, 26)])
def test_each_attack_names_tests_that_are_there_and_of_its_number(number: str) -> None:
    named, there = table()[number], named_attacks()
    assert named
    for file, prefix in named:
        assert int(number) in [int(part) for part in prefix.removeprefix("test_attack_").split("_") if part]
        assert any(name.startswith(prefix) for found, name in there if found == file), (file, prefix)


def test_no_test_of_an_attack_is_left_out_of_the_table() -> None:
    named = {entry for entries in table().values() for entry in entries}
    for file, name in named_attacks():
        assert any(file == found and name.startswith(prefix) for found, prefix in named), (file, name)


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_attack_23_nothing_in_the_hub_can_open_a_connection_for_a_caller() -> None:
    for path in HUB.rglob("*.py"):
        if str(path.relative_to(HUB)) in SENDER:
            continue
        where = str(path.relative_to(HUB))
        names = set(imported(path)) - ({"ssl"} if where in MAY_READ_CERTIFICATES else set())
        assert not {name for name in names if name.split(".")[0] in CLIENTS}, path
        assert not names & {"urllib.request", "http.client"}, path
        assert not any(name.startswith("exchange.net") for name in names) or where in CALLS_WITNESSES, path
        in_request = where.startswith(("api/", "oauth/"))
        assert not (in_request and {name.rpartition(".")[2] for name in names} & NOT_IN_A_REQUEST), path
        assert "socket" not in names or where in MAY_USE_SOCKETS, path


def patterns() -> dict[str, str]:
    """Every pattern that is compiled when a module is loaded, and those of the schemas of requests."""
    found: dict[str, str] = {}
    for package in (exchange.hub, exchange_keys, exchange_schemas):
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "migrations" in info.name or "__main__" in info.name:
                continue
            for name, value in vars(importlib.import_module(info.name)).items():
                if isinstance(value, re.Pattern):
                    text = value.pattern
                    found[f"{info.name}.{name}"] = text if isinstance(text, str) else text.decode("latin-1")
    app, _ = described_app(BASE_URL)
    for view in app.view_functions.values():
        declared = view.operation  # type: ignore[attr-defined]
        for schema in (declared.request, declared.query):
            for name, member in () if schema is None else schema().fields.items():
                for validator in member.validators:
                    if isinstance(validator, Pattern):
                        found[f"{schema.__name__}.{name}"] = validator.pattern
    return found


def nested(parsed: Any, inside: bool = False) -> Iterator[Any]:
    """Repeats without a bound that stand in a repeat: the ways to match may multiply."""
    for op, value in parsed:
        if op in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            low, high, body = value
            varies = low != high
            if inside and varies and high == sre.MAXREPEAT:
                yield value
            # Each turn begins with a character that the repeat in it cannot take: only one way to match.
            yield from nested(body, (inside or high == sre.MAXREPEAT) and not begins_apart(body))
        elif op is sre.SUBPATTERN:
            yield from nested(value[-1], inside)
        elif op is sre.BRANCH:
            for branch in value[1]:
                yield from nested(branch, inside)


def begins_apart(body: Any) -> bool:
    while len(body) == 1 and body[0][0] is sre.SUBPATTERN:
        body = body[0][1][-1]
    first, *rest = list(body)
    if first[0] is not sre.LITERAL or len(rest) != 1 or rest[0][0] is not sre.MAX_REPEAT:
        return False
    (kind, members), *_ = rest[0][1][2]
    return kind is sre.IN and not any(
        (op is sre.LITERAL and value == first[1]) or (op is sre.RANGE and value[0] <= first[1] <= value[1])
        for op, value in members
    )


def test_attack_22_no_pattern_repeats_a_repeat_without_bound() -> None:
    found = patterns()
    assert len(found) > 20
    for name, text in found.items():
        assert not list(nested(parser.parse(text))), name


@pytest.mark.parametrize("text", ["(a*)*", "(?:a|b+)+c", "(x[a-z]*)*"])
def test_a_pattern_that_could_is_found(text: str) -> None:
    assert list(nested(parser.parse(text)))
