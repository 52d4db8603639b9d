"""`exchange-hub agency log-in`: an operator carries a login key that the agency's root signed."""

from pathlib import Path

from exchange_keys.jose import AuthKey
from exchange_keys.jws import Signed
from exchange_schemas.codec import b64u, encode
from tests.integration.admin.conftest import Shell, both
from tests.integration.directory.people import Agency


def carried(shell: Shell, agency: Agency, key: AuthKey, events: list[Signed]) -> str:
    path = Path(shell.path("signed.json"))
    members = {
        "v": 1,
        "typ": "hx-root-events",
        "origin": "exchange.example",
        "agency": agency.id,
        "events": [event.to_json() for event in events],
        "keys": {key.public.kid: b64u(key.public.raw)},
    }
    path.write_bytes(encode(members, depth=12) + b"\n")
    return str(path)


@both
def test_an_operator_logs_a_login_key_that_the_root_signed_and_no_other(made: Shell) -> None:
    agency, new = made.admit("ngo-b"), AuthKey.generate("ES256")
    by_approver = carried(made, agency, new, [agency.key(new.public, "auth")])
    said = made.run("agency", "log-in", by_approver, *made.signed_by("asha"), code=1)
    assert "not signed by the agency's root" in said.stderr
    file = carried(made, agency, new, [agency.key(new.public, "auth", by_root=True)])
    shown = made.json("agency", "log-in", file, *made.signed_by("asha"))
    assert (shown["agency"], shown["operator"]) == ("ngo-b", "asha")
    denied, last = made.entries()[-2:]
    assert [(one.act, one.out, one.opr, one.own) for one in (denied, last)] == [
        ("directory:append", "deny", "asha", ("ngo-b",)),
        ("directory:append", "allow", "asha", ("ngo-b",)),
    ]
    kids = [row["kid"] for row in made.json("agency", "show", "ngo-b")["keys"] if row["use"] == "auth"]
    assert new.public.kid in kids
    # Once is enough; and another agency's key is not taken under this one's name.
    made.run("agency", "log-in", file, *made.signed_by("asha"), code=1)
    other = made.admit("ngo-c")
    stranger = carried(made, agency, new, [other.key(new.public, "auth", by_root=True)])
    made.run("agency", "log-in", stranger, *made.signed_by("asha"), code=1)


def test_what_is_no_file_of_a_root_is_a_clear_refusal(made: Shell) -> None:
    agency = made.admit("ngo-b")
    for content in (b"", b"{}", b"nonsense", agency.bundle().to_bytes()):
        Path(made.path("bad.json")).write_bytes(content)
        said = made.run("agency", "log-in", made.path("bad.json"), *made.signed_by("asha"), code=1)
        assert "error" in said.stderr
