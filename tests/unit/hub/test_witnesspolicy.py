"""The policy file that names a hub's witnesses: what it must hold beyond the format, how it is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from exchange.hub.hubkeys import HubKeys
from exchange.hub.settings import Settings
from exchange.hub.witnesspolicy import WitnessPolicy, load_policy
from exchange.log.checkpoint import LogKey, vkey
from exchange.log.cosignature import cosigner_vkey
from exchange_keys.signing import SigningKey
from exchange_schemas.errors import ConfigInvalid

AUDIT, DIRECTORY = SigningKey.generate(), SigningKey.generate()
KEYS = HubKeys((), AUDIT, DIRECTORY)
# Fixed: they stand in the names of tests, which every test process must find the same.
A, B, C = (
    cosigner_vkey(f"{name}.example/w1", SigningKey.from_seed(name.encode() * 32).public.raw) for name in "abc"
)
GOOD = f"witness a {A} https://a.example\nwitness b {B} https://b.example:8443/w\ngroup g 2 a b\nquorum g\n"


def load(folder: Path, text: str, keys: HubKeys = KEYS, **changes: object) -> WitnessPolicy | None:
    path = folder / "policy"
    path.write_text(text)
    settings = Settings(
        origin="exchange.example",
        base_url="https://exchange.example",
        database_url="sqlite:////srv/hub.sqlite",
        data_dir=Path("/srv/hub"),
        guard_dir=Path("/guard"),
        witness_policy=path,
    )
    return load_policy(replace(settings, **changes), keys)


def refused(folder: Path, text: str, **changes: object) -> str:
    with pytest.raises(ConfigInvalid) as told:
        load(folder, text, **changes)
    assert told.value.field == "HOMEWARD_WITNESS_POLICY"
    return told.value.message


def test_a_group_of_witnesses_is_so_many_of_them(tmp_path: Path) -> None:
    found = load(tmp_path, GOOD)
    assert found is not None
    assert (found.needed, [one.name for one in found.members]) == (2, ["a", "b"])
    assert [one.url for one in found.witnesses] == ["https://a.example", "https://b.example:8443/w"]
    assert found.witnesses[0].vkey == A


def test_one_witness_or_none_may_be_needed(tmp_path: Path) -> None:
    single = load(tmp_path, f"witness a {A} https://a.example\nquorum a\n")
    assert single is not None
    assert (single.needed, len(single.members)) == (1, 1)
    free = load(tmp_path, f"witness a {A} https://a.example\nquorum none\n")
    assert free is not None
    assert (free.needed, free.members, len(free.witnesses)) == (0, (), 1)
    assert load(tmp_path, GOOD, witness_policy=None) is None


def test_the_file_that_auditors_get_serves_the_hub_too(tmp_path: Path) -> None:
    logs = (
        f"log {vkey('exchange.example/audit', AUDIT.public.raw)}\n"
        f"log {vkey('exchange.example/directory', DIRECTORY.public.raw)}\n"
    )
    assert load(tmp_path, logs + GOOD) is not None
    stranger = vkey("exchange.example/audit", SigningKey.generate().public.raw)
    assert "not this hub's" in refused(tmp_path, f"log {stranger}\n" + GOOD)
    changing = replace(KEYS, audit_log=LogKey(SigningKey.generate(), AUDIT))
    assert load(tmp_path, logs + GOOD, changing) is not None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"witness a {A}\nquorum a\n", "no address"),
        (f"witness a {A} http://a.example\nquorum a\n", "must be https"),
        (f"witness a {A} ftp://a.example\nquorum a\n", "must be https"),
        (f"witness a {A} https://\nquorum a\n", "address of the witness a"),
        (f"witness a {A} https://u:p@a.example\nquorum a\n", "address of the witness a"),
        (f"witness a {A} https://a.example?x=1\nquorum a\n", "address of the witness a"),
        (f"witness a {A} https://a.example#x\nquorum a\n", "address of the witness a"),
        (f"witness a {A} https://[a\nquorum a\n", "address of the witness a"),
        (f"witness a {A} https://a.example:99999\nquorum a\n", "address of the witness a"),
        ("quorum none\n", "no witness"),
        (
            GOOD.replace("quorum g\n", f"witness c {C} https://c.example\ngroup h all g c\nquorum h\n"),
            "holds other groups",
        ),
        (GOOD.replace("quorum g\n", ""), "no quorum line"),
        (GOOD.replace("witness b", "wittness b"), "line 2"),
        (GOOD.removesuffix("\n"), "does not end"),
    ],
)
def test_a_policy_that_the_hub_cannot_use_names_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    assert says in refused(tmp_path, text)


def test_plain_http_is_for_development_alone(tmp_path: Path) -> None:
    text = GOOD.replace("https://a", "http://a")
    assert "must be https" in refused(tmp_path, text)
    assert load(tmp_path, text, environment="development") is not None


def test_more_witnesses_than_a_note_has_lines_are_refused(tmp_path: Path) -> None:
    lines = [
        f"witness w{n} {cosigner_vkey(f'w{n}.example', SigningKey.generate().public.raw)} https://w{n}.example"
        for n in range(61)
    ]
    text = "\n".join([*lines, "quorum w0", ""])
    assert "more than 60" in refused(tmp_path, text)
    assert load(tmp_path, "\n".join([*lines[:60], "quorum w0", ""])) is not None


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "cannot be read" in refused(tmp_path, GOOD, witness_policy=tmp_path / "gone")
