"""The interface description: valid OpenAPI 3.1, examples that fit, nothing lost on the way from the code."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator, validate
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from exchange.hub.openapi import DESCRIPTION, description, endpoints, files, main

DOCUMENT = description()
URI = "urn:exchange"


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    """A validator whose references lead into the document."""
    registry = Registry().with_resource(URI, Resource.from_contents(DOCUMENT, DRAFT202012))
    return Draft202012Validator(_absolute(schema), registry=registry)


def _absolute(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: URI + item if name == "$ref" and isinstance(item, str) else _absolute(item)
            for name, item in value.items()
        }
    return [_absolute(item) for item in value] if isinstance(value, list) else value


def contents(value: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every media type object with an example."""
    if isinstance(value, dict):
        if "example" in value and "schema" in value:
            yield path, value
        for name, item in value.items():
            yield from contents(item, f"{path}/{name}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from contents(item, f"{path}/{number}")


EXAMPLES = dict(contents(DOCUMENT))
# Bytes, pages and scripts have no example; a page that is also given as JSON has one there.
WITHOUT_EXAMPLE = ("application/octet-stream", "text/html", "text/javascript")


def test_the_description_is_valid_openapi() -> None:
    validate(DOCUMENT, cls=OpenAPIV31SpecValidator)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) > 20


@pytest.mark.parametrize("path", EXAMPLES)
def test_every_example_fits_its_schema(path: str) -> None:
    validator(EXAMPLES[path]["schema"]).validate(EXAMPLES[path]["example"])


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield f"{method} {path}", operation


def test_every_request_and_every_answer_has_an_example() -> None:
    for name, operation in operations():
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for media, content in ((m, c) for body in bodies for m, c in body.get("content", {}).items()):
            assert "example" in content or media in WITHOUT_EXAMPLE, (name, media)
        for parameter in operation.get("parameters", []):
            assert parameter["in"] == "query" or "example" in parameter, (name, parameter["name"])


def test_every_problem_has_an_example() -> None:
    for name, answer in DOCUMENT["components"]["responses"].items():
        (content,) = answer["content"].values()
        assert content["example"]["type"].startswith("https://hub.example/problems/"), name


def test_an_object_says_whether_more_members_are_allowed() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        if not name.endswith("Form"):
            assert "additionalProperties" in schema, name


def test_patterns_have_both_anchors() -> None:
    text = yaml.safe_dump(DOCUMENT)
    patterns = re.findall(r" pattern: '?([^'\n]+)'?$", text, re.MULTILINE)
    assert patterns
    for pattern in patterns:
        assert pattern.startswith("^"), pattern
        assert pattern.endswith("$"), pattern


def test_a_logged_answer_needs_its_receipt() -> None:
    deposit = DOCUMENT["paths"]["/v1/envelopes"]["post"]["responses"]["201"]
    reference = deposit["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
    assert "receipt" in DOCUMENT["components"]["schemas"][reference]["required"]
    assert "Homeward-Receipt" in deposit["headers"]


def test_the_security_of_an_operation_is_token_and_proof_and_scope() -> None:
    (need,) = DOCUMENT["paths"]["/v1/envelopes"]["post"]["security"]
    assert need == {"accessToken": [], "dpopProof": [], "oauth2": ["envelopes:send"]}
    schemes = DOCUMENT["components"]["securitySchemes"]
    assert schemes["accessToken"]["scheme"] == "DPoP"
    assert schemes["dpopProof"]["name"] == "DPoP"
    assert DOCUMENT["paths"]["/healthz"]["get"]["security"] == []


def test_the_file_reads_back_as_the_description() -> None:
    text = files()[DESCRIPTION]
    assert yaml.safe_load(text) == yaml.safe_load(yaml.safe_dump(DOCUMENT))
    assert "&id" not in text


def test_the_table_of_endpoints_has_a_row_for_each() -> None:
    rows = [line for line in endpoints().splitlines() if line.startswith("| `")]
    assert len(rows) == sum(len(set(item) - {"parameters"}) for item in DOCUMENT["paths"].values())
    assert any("`POST /v1/envelopes`" in row and "`envelopes:send`" in row for row in rows)


def test_the_command_writes_and_then_finds_the_files_fresh(tmp_path: Path) -> None:
    runner = CliRunner()
    stale = runner.invoke(main, ["--check", "--root", str(tmp_path)])
    assert (stale.exit_code, "make openapi" in stale.output) == (1, True)
    assert runner.invoke(main, ["--root", str(tmp_path)]).exit_code == 0
    assert runner.invoke(main, ["--check", "--root", str(tmp_path)]).exit_code == 0
    (tmp_path / DESCRIPTION).write_text("changed")
    assert runner.invoke(main, ["--check", "--root", str(tmp_path)]).exit_code == 1
