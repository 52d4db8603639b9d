"""The error tree: codes are stable, unique and complete."""

import copy
import pickle
import re
from pathlib import Path

import pytest

from exchange_schemas import errors
from exchange_schemas.errors import (
    AccessError,
    ExchangeError,
    HubRefused,
    LocalError,
    LogError,
    Malformed,
    ProtocolError,
    RequestError,
    ServiceError,
    error_codes,
    error_for,
    protocol_codes,
)

GROUPS = (ProtocolError, AccessError, RequestError, ServiceError, LogError, LocalError)
LEAVES = [
    cls
    for cls in vars(errors).values()
    if isinstance(cls, type) and issubclass(cls, ExchangeError) and cls not in (ExchangeError, *GROUPS)
]
PROTOCOL = Path(__file__).resolve().parents[4] / "shared" / "design" / "protocol.md"


@pytest.mark.parametrize("cls", LEAVES)
def test_every_class_is_found_by_its_code(cls):
    assert error_for(cls.code) is cls


def test_codes_are_unique_and_none_is_missing():
    assert sorted(cls.code for cls in LEAVES) == list(error_codes())


def test_groups_have_no_code_of_their_own():
    assert not any("code" in vars(cls) for cls in (ExchangeError, *GROUPS))


def test_an_unknown_code_of_a_newer_hub_is_still_a_refusal():
    assert error_for("SOMETHING_NEW") is HubRefused


def test_a_class_of_another_package_is_not_taken_into_the_registry():
    class Mine(LocalError, code="MINE"):
        pass

    errors._by_code.cache_clear()
    assert error_for("MINE") is HubRefused
    assert Mine.code == "MINE"


def test_the_protocol_codes_are_those_of_the_design():
    if not PROTOCOL.is_file():
        pytest.skip("the design documents ../shared/design are not here")
    section = PROTOCOL.read_text("utf-8").split("## Error codes")[1].split("## ")[0]
    assert sorted(re.findall("[A-Z][A-Z_]{3,}", section.split("`")[1])) == list(protocol_codes())


def test_an_error_carries_what_a_problem_document_needs():
    error = Malformed("sex: not a code", field="sex", rule="code", hint="look it up", detail={"n": 1})
    assert (str(error), error.message) == ("sex: not a code", "sex: not a code")
    assert (error.field, error.rule, error.hint, error.detail) == ("sex", "code", "look it up", {"n": 1})
    assert (Malformed("x").field, Malformed("x").detail) == (None, {})


def test_a_refusal_of_the_hub_carries_its_problem_document():
    assert HubRefused("no", problem={"code": "FORBIDDEN"}).problem == {"code": "FORBIDDEN"}
    assert HubRefused("no").problem == {}


def test_an_error_survives_a_process_border():
    error = pickle.loads(pickle.dumps(Malformed("x", field="f", rule="r")))
    assert (type(error), str(error), error.field, error.rule) == (Malformed, "x", "f", "r")
    assert copy.copy(error).field == "f"
