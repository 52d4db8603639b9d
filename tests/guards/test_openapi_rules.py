"""The interface description under rules of others: spectral with OWASP's, redocly, and nothing that breaks.

Waived rules stand in openapi/.spectral.yaml and openapi/redocly.yaml, each with its reason. What was released
last is openapi/released.yaml: a client made for it must go on working.
"""

from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from exchange.hub.openapi import DESCRIPTION
from tests.node.tools import HERE, ROOT, run

LINT = HERE / "lint"
DESCRIBED = ROOT / DESCRIPTION
RULES = ROOT / "openapi" / ".spectral.yaml"
REDOCLY = ROOT / "openapi" / "redocly.yaml"
RELEASED = ROOT / "openapi" / "released.yaml"


def spectral(file: Path) -> tuple[int, str]:
    arguments = ("lint", str(file), "--ruleset", str(RULES), "--fail-severity", "hint", "--quiet")
    done = run(LINT, "spectral", *arguments)
    return done.returncode, done.stdout + done.stderr


def redocly(file: Path) -> tuple[int, str]:
    done = run(LINT, "redocly", "lint", str(file), "--config", str(REDOCLY))
    return done.returncode, done.stdout + done.stderr


def breaking(before: Path, after: Path) -> tuple[int, str]:
    done = run(LINT, "optic", "diff", str(before), str(after), "--check")
    return done.returncode, done.stdout + done.stderr


def test_spectral_finds_nothing() -> None:
    code, said = spectral(DESCRIBED)
    assert code == 0, said


def test_redocly_finds_nothing() -> None:
    code, said = redocly(DESCRIBED)
    assert code == 0, said


@pytest.fixture
def worse(tmp_path: Path) -> Path:
    """The description with one operation that nobody is kept from, and one text without a limit."""
    document = yaml.safe_load(DESCRIBED.read_text("utf-8"))
    document["paths"]["/v1/inbox"]["get"]["security"] = []
    del document["paths"]["/v1/inbox"]["get"]["operationId"]
    del document["components"]["schemas"]["Problem"]["properties"]["title"]["maxLength"]
    file = tmp_path / DESCRIBED.name
    file.write_text(yaml.safe_dump(document, sort_keys=False), "utf-8")
    return file


def test_spectral_finds_an_open_operation_and_a_text_without_limit(worse: Path) -> None:
    code, said = spectral(worse)
    assert code != 0
    for rule in ("api2:2023-read-restricted", "api4:2023-string-limit", "operation-operationId"):
        assert rule in said


def test_redocly_finds_an_operation_without_a_name(worse: Path) -> None:
    code, said = redocly(worse)
    assert code != 0
    assert "operation-operationId" in said


def test_every_waived_rule_has_its_reason() -> None:
    """A comment stands over each rule that is off; over the list of addresses where it is off for these."""
    lines = [line.strip() for line in RULES.read_text("utf-8").splitlines() if line.strip()]
    for before, line in pairwise(lines[lines.index("rules:") : lines.index("overrides:")]):
        assert not line.endswith(": off") or before.startswith("#") or before.endswith(": off"), line
    for before, line in pairwise(lines[lines.index("overrides:") :]):
        assert line != "- files:" or before.startswith("#"), line


def test_nothing_released_is_broken() -> None:
    code, said = breaking(RELEASED, DESCRIBED)
    assert code == 0, said


def test_a_removed_operation_and_a_new_required_member_break(tmp_path: Path) -> None:
    before, after = tmp_path / "before.yaml", tmp_path / "after.yaml"
    before.write_text(
        SMALL.format(required="[a]", also="  /b: {get: {responses: {'200': {description: b}}}}")
    )
    after.write_text(SMALL.format(required="[a, b]", also=""))
    code, said = breaking(before, after)
    assert code != 0
    assert "operation removal" in said
    assert "required" in said


SMALL = """
openapi: 3.1.0
info: {{title: small, version: 1.0.0}}
paths:
  /a:
    post:
      requestBody:
        content:
          application/json:
            schema:
              type: object
              required: {required}
              properties: {{a: {{type: string}}, b: {{type: string}}}}
      responses: {{'200': {{description: a}}}}
{also}
"""
