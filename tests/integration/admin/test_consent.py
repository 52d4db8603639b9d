"""`exchange-hub consent withdraw`: an operator carries what an issuer has signed."""

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert, select

from exchange.hub.db import open_engine
from exchange.hub.models.consents import consent_family
from exchange_keys.jws import sign
from exchange_schemas.consent import Withdrawal
from exchange_schemas.ids import FamilyId
from tests.integration.admin.conftest import Shell, both
from tests.integration.directory.people import Agency

FAMILY = FamilyId("F" * 21 + "A")


def withdrawal(shell: Shell, agency: Agency) -> str:
    item = Withdrawal(
        origin="exchange.example",
        iss=agency.id,
        family=FAMILY,
        reason="consent_withdrawn",
        iat=datetime.now(UTC).replace(microsecond=0),
    )
    path = Path(shell.path("withdrawal.json"))
    path.write_bytes(sign(item.to_bytes(), Withdrawal.typ, [agency.approver]).to_bytes() + b"\n")
    return str(path)


@both
def test_an_operator_carries_the_withdrawal_of_a_suspended_agency(made: Shell) -> None:
    agency = made.admit("ngo-b")
    engine = open_engine(made.database_url)
    with engine.begin() as conn:
        row = {"family": FAMILY, "iss": agency.id, "rcp": "embassy-a", "subj": "s", "status": "active"}
        conn.execute(insert(consent_family).values(row))
    made.run("agency", "suspend", "ngo-b", "--reason", "security", *made.signed_by("asha"))
    file = withdrawal(made, agency)
    shown = made.json("consent", "withdraw", file, *made.signed_by("asha"))
    assert (shown["issuer"], shown["undelivered"], shown["operator"]) == ("ngo-b", 0, "asha")
    with engine.connect() as conn:
        assert conn.execute(select(consent_family.c.status)).scalars().all() == ["withdrawn"]
    engine.dispose()
    last = made.entries()[-1]
    assert (last.act, last.out, last.opr, last.own) == (
        "consent:withdraw",
        "allow",
        "asha",
        ("embassy-a", "ngo-b"),
    )


def test_what_is_not_there_or_is_no_withdrawal_is_a_clear_refusal(made: Shell) -> None:
    agency = made.admit("ngo-b")
    said = made.run("consent", "withdraw", withdrawal(made, agency), *made.signed_by("asha"), code=1)
    assert "no such family" in said.stderr
    for content in (b"", b"{}", b"nonsense", agency.bundle().to_bytes()):
        Path(made.path("bad.json")).write_bytes(content)
        said = made.run("consent", "withdraw", made.path("bad.json"), *made.signed_by("asha"), code=1)
        assert "MALFORMED" in said.stderr


def test_a_stranger_carries_nothing(made: Shell) -> None:
    agency = made.admit("ngo-b")
    made.keygen("ben")
    said = made.run("consent", "withdraw", withdrawal(made, agency), *made.signed_by("ben"), code=1)
    assert "NOT_PERMITTED" in said.stderr
