"""The recorded deposits at a real hub, on each database: taken, or refused with the code that comes first."""

import json
import os
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any

import pytest

from exchange.hub.services import consents, deposit, directory, withdrawals
from exchange.hub.services.hub import Hub, utc_now
from exchange.hub.services.release import Answer, Caller, Proof, Trace, release_admin
from exchange_keys.jws import Signed
from exchange_schemas.codec import parse_time, unb64u
from exchange_schemas.entry import Act
from exchange_schemas.errors import ExchangeError
from exchange_schemas.ids import AgencyId
from tests.vectors.record_homeward_vectors import FOLDER
from tests.vectors.recording.bending import bend
from tests.vectors.recording.seeds import Case


@cache
def recorded(name: str) -> Any:
    """A file of vectors."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def caller(agency: str) -> Caller:
    """An agency with a proof that was not used yet."""
    proof = Proof(b"\x01" + os.urandom(31), utc_now() + timedelta(days=3650), "h.p.s", ())
    return Caller(AgencyId(agency), "ngo", frozenset(), proof, None, os.urandom(16).hex())


def load(hub: Hub) -> None:
    """The directory of the vectors, the consents, and what is deposited before each case."""
    file = recorded("deposits")
    for item in recorded("directory")["story"]:
        signed = Signed.from_json(item["event"], 16 * 1024)
        keys = {kid: unb64u(raw, field="key") for kid, raw in item["keys"].items()}

        def append(unit: Any, signed: Signed = signed, keys: Any = keys) -> Answer:
            index = directory.append_event(unit, signed, keys)
            return Answer({"index": index}, Trace(act=Act.DIRECTORY_APPEND))

        release_admin(hub, "ann", Trace(act=Act.DIRECTORY_APPEND), append)
    for jws in file["consents"]:
        consents.register(hub, caller("ngo"), jws)
    for item in file["withdrawals"]:
        withdrawals.withdraw(hub, caller("ngo"), item["cid"], item["jws"])
    for item in file["before"]:
        deposit.deposit(hub, caller(item["caller"]), item["body"])


@pytest.fixture
def new_hub(make_hub: Callable[..., Hub]) -> Callable[[], Hub]:
    """Make a hub that stands where every case begins; its clock stands still."""
    now = parse_time(recorded("deposits")["now"], field="now")

    def make() -> Hub:
        origin = recorded("directory")["origin"]
        hub = make_hub(clock=lambda: now, travel=True, origin=origin, base_url=f"https://{origin}")
        load(hub)
        return hub

    return make


def put(hub: Hub, case: Case) -> tuple[str | None, bool | None]:
    """The code that the hub refuses a case with, or whether what it takes is new."""
    body = case["body"]
    for change in case["changes"]:
        body = bend(body, change)
    try:
        return None, deposit.deposit(hub, caller(case["caller"]), body).status == 201
    except ExchangeError as error:
        return error.code, None


def expected(case: Case) -> tuple[str | None, bool | None]:
    return case["error"], case["taken"]


def test_of_several_refusals_the_first_in_the_order_of_checks_wins(new_hub: Callable[[], Hub]) -> None:
    hub, cases = new_hub(), recorded("deposits")["cases"]
    first, later = (case for case in cases if case["taken"])
    found = {case["name"]: put(hub, case) for case in cases if not case["taken"]}
    assert found == {case["name"]: expected(case) for case in cases if not case["taken"]}
    # None of them has left anything: what is new is taken where every case begins.
    assert put(hub, first) == (None, True)
    assert put(new_hub(), later) == (None, True)
