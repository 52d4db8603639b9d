"""A second implementation, in JavaScript and written from docs/protocol.md alone, gives the recorded results.

It opens what is good, refuses what is bad with the same code, and seals what opens here. It prints what it
found; the comparison is here.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from exchange_keys.envelope import open_grant
from exchange_schemas import record
from exchange_schemas.codec import b64u, unb64u
from exchange_schemas.errors import DecryptFailed
from tests.node.tools import HERE, run
from tests.vectors.recording.seeds import Case
from tests.vectors.recording.sender import EMBASSY_ENC, VALUES, Sender, json_of
from tests.vectors.test_homeward_vectors import FILES, NAMES

PROTOCOL = HERE / "protocol"
# Besides `error`, what a good case must give: file: members.
RESULTS = {
    "keys": {"keys": ("kid", "raw_sha256"), "contexts": ("ctx",), "padding": ("padded_sha256",)},
    "grants": {"cases": ("digest", "fields")},
    "decisions": {"cases": ("rule",)},
    "envelopes": {"cases": ("values",)},
    "attachments": {"cases": ("plain",)},
    "pages": {"cases": ("size", "root")},
    "deposits": {"cases": ("taken",)},
}


def node(script: str, *arguments: str, stdin: str | None = None) -> Any:
    done = run(PROTOCOL, script, *arguments, stdin=stdin)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@cache
def found() -> Any:
    """What the second implementation makes of every file."""
    return node("run.mjs")["found"]


def cases_of(file: Case) -> dict[str, list[Case]]:
    lists = {key: value for key, value in file.items() if isinstance(value, list)}
    return {
        key: value
        for key, value in lists.items()
        if value and isinstance(value[0], dict) and {"name"} <= set(value[0])
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_case_ends_as_it_is_recorded(name: str) -> None:
    lists = cases_of(FILES[name])
    assert set(found()[name]) - {"whole"} == set(lists)
    for key, cases in lists.items():
        theirs = found()[name][key]
        assert {what: one["error"] for what, one in theirs.items()} == {
            case["name"]: case.get("error") for case in cases
        }
        for member in RESULTS.get(name, {}).get(key, ()):
            for case in cases:
                if case.get("error") is None:
                    assert theirs[case["name"]]["result"][member] == case[member], case["name"]


def test_the_root_digest_paddings_and_the_directory_are_the_recorded_ones() -> None:
    keys, directory = found()["keys"]["whole"], found()["directory"]["whole"]
    assert keys == {"root_digest": FILES["keys"]["root_digest"], "padme": FILES["keys"]["padme"]}
    assert directory == {"roots": FILES["directory"]["roots"], "state": FILES["directory"]["state"]}


def without(case: Case, hidden: tuple[str, ...]) -> Case:
    return {name: value for name, value in case.items() if name not in hidden}


def test_it_looks_at_no_recorded_result(tmp_path: Path) -> None:
    """Otherwise all of the above would prove nothing: it says the same when the results are taken out."""
    names = [name for name in NAMES if name != "directory"]
    for name in names:
        lists = {
            key: [without(case, ("error", *RESULTS.get(name, {}).get(key, ()))) for case in cases]
            for key, cases in cases_of(FILES[name]).items()
        }
        (tmp_path / f"{name}.json").write_text(json.dumps({**FILES[name], **lists}))
    (tmp_path / "directory.json").write_text(json.dumps({**FILES["directory"], "roots": [], "state": {}}))
    again = node("run.mjs", "--from", str(tmp_path), *names)["found"]
    assert again == {name: found()[name] for name in names}


def test_what_it_seals_opens_here() -> None:
    answer = Sender([b64u(bytes(32))]).send().answer()
    core = json_of(unb64u(answer["core"], field="core"))
    del core["parts"]
    plain = {name: record.encode_field(name, VALUES[name]) for name in ("sex", "last_seen", "child_ref")}
    given = {
        "core": core,
        "key": b64u(EMBASSY_ENC.public.raw),
        "fields": {name: b64u(value) for name, value in plain.items()},
    }
    sealed = node("seal.mjs", stdin=json.dumps(given))
    core_bytes, keys = unb64u(sealed["core"], field="core"), unb64u(sealed["sealed"], field="sealed")

    def part(ref: Any) -> bytes:
        return unb64u(sealed["parts"][ref.sha256], field="part")

    assert open_grant(core_bytes, keys, EMBASSY_ENC, part) == plain
    with pytest.raises(DecryptFailed):
        open_grant(core_bytes, keys[:-1] + bytes([keys[-1] ^ 1]), EMBASSY_ENC, part)


def test_it_agrees_with_the_published_vectors(shared_data: Path) -> None:
    """Of 914 CCTV cases 43 are accepted, none of small order or not canonical; the HPKE examples open."""
    published = node("published.mjs", str(shared_data / "vectors"))
    assert published["accepted"] == 43
    assert set(published["flags"]) <= {"low_order_component_R", "low_order_component_A"}
    assert published["jose"]
    assert published["xwing"] == [True, True]


def test_the_lock_names_no_registry() -> None:
    lock = json.loads((PROTOCOL / "package-lock.json").read_text("utf-8"))
    packages = {name: one for name, one in lock["packages"].items() if name}
    assert packages
    for name, one in packages.items():
        assert one["integrity"].startswith("sha512-"), name
        assert "resolved" not in one, name
