"""The project's own recorded vectors: what was sealed once must open for ever, or fail with its code."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from exchange.directory.state import DirectoryState
from exchange.log.proof import verify_entry
from exchange_keys.envelope import grant_digest, open_grant
from exchange_keys.jws import Signed, verify
from exchange_keys.mldsa import MlDsaKey
from exchange_keys.padding import pad_to, padme
from exchange_keys.parts import PartContext
from exchange_keys.sealing import EncKey
from exchange_keys.signing import SigningKey
from exchange_schemas import message, record
from exchange_schemas.catalogue import check_kind, load_catalogue
from exchange_schemas.codec import b64u, decode_value, encode, parse_time, sha256, unb64u
from exchange_schemas.envelope import PartRef
from exchange_schemas.errors import FieldDenied, PartMissing
from tests.vectors.record_homeward_vectors import FOLDER
from tests.vectors.record_homeward_vectors import record as record_all
from tests.vectors.recording.attachments import opened
from tests.vectors.recording.basics import KEYS, check_base64
from tests.vectors.recording.bending import bend
from tests.vectors.recording.decisions import rule_of
from tests.vectors.recording.directory import apply_all, state_json
from tests.vectors.recording.objects import check_head, check_object
from tests.vectors.recording.pages import followed
from tests.vectors.recording.payloads import READERS
from tests.vectors.recording.recipient import Copy, Keys, open_answer
from tests.vectors.recording.seeds import Case, code_of, digest, enc, root, seed
from tests.vectors.recording.signed import keys_of
from tests.vectors.recording.world import Event

NAMES = (
    "codec",
    "keys",
    "signed",
    "payloads",
    "values",
    "grants",
    "decisions",
    "directory",
    "receipts",
    "objects",
    "envelopes",
    "attachments",
    "pages",
    "deposits",
)
FILES: dict[str, Any] = {name: json.loads((FOLDER / f"{name}.json").read_text()) for name in NAMES}
MAKERS = {"Ed25519": SigningKey.from_seed, "ML-DSA-65": MlDsaKey, "X-Wing": EncKey.from_seed}


def raw(text: str) -> bytes:
    return unb64u(text, field="vector")


def assert_codes(cases: list[Case], run: Callable[[Case], object]) -> None:
    """Every case ends with its recorded code, none of them skipped."""
    assert cases
    found = {case["name"]: code_of(lambda case=case: run(case)) for case in cases}
    assert found == {case["name"]: case["error"] for case in cases}
    assert len(found) == len(cases), "a name stands twice"


def test_strict_reading() -> None:
    file = FILES["codec"]
    assert_codes(file["json"], lambda case: decode_value(raw(case["bytes"]), limit=file["limit"]))
    assert_codes(file["base64url"], lambda case: check_base64(case["text"]))
    assert_codes(file["times"], lambda case: parse_time(case["text"], field="time"))


def test_labels_give_their_keys_and_kids() -> None:
    for case in FILES["keys"]["keys"]:
        public = MAKERS[case["alg"]](seed(case["name"])).public
        assert public == KEYS[case["name"]]()
        assert (public.alg, public.kid, b64u(sha256(public.raw))) == (
            case["alg"],
            case["kid"],
            case["raw_sha256"],
        )
    assert root("root").public.digest == FILES["keys"]["root_digest"]


def test_contexts_and_paddings_are_the_recorded_ones() -> None:
    file = FILES["keys"]
    for case in file["contexts"]:
        values = {name: value for name, value in case.items() if name not in {"ctx", "name"}}
        assert b64u(PartContext(**values).digest()) == case["ctx"]
    assert [[size, padme(size)] for size, _ in file["padme"]] == file["padme"]
    for case in file["padding"]:
        padded = pad_to(raw(case["value"]), case["bucket"])
        assert b64u(sha256(padded)) == case["padded_sha256"]


def test_signed_objects() -> None:
    file = FILES["signed"]
    keys = keys_of(file)

    def run(case: Case) -> None:
        signed = Signed.from_json(case["jws"], 16 * 1024)
        verify(signed, file["typ"], origin=file["origin"], key_for=keys.get)

    assert_codes(file["cases"], run)


def test_payloads() -> None:
    file = FILES["payloads"]

    def run(case: Case) -> None:
        example = file["examples"][case["of"]]
        value = example["value"]
        for change in case["changes"]:
            value = bend(value, change)
        READERS[example["typ"]](encode(value))

    assert_codes(file["cases"], run)


def test_values_and_kinds() -> None:
    file = FILES["values"]

    def plaintext(field: str, data: bytes) -> None:
        names = load_catalogue().message_fields
        (message if field in names else record).decode_field(field, data)

    def kind(case: Case) -> None:
        check_kind(load_catalogue(), case["kind"], case["fields"])
        for name in case.get("foreign", ()):
            with pytest.raises(FieldDenied):
                check_kind(load_catalogue(), case["kind"], [*case["fields"], name])

    assert_codes(
        file["cases"],
        lambda case: plaintext(
            case["field"], encode({"v": bend(file["examples"][case["field"]], case["change"])})
        ),
    )
    assert_codes(file["plaintexts"], lambda case: plaintext(case["field"], raw(case["plaintext"])))
    assert_codes(file["kinds"], kind)


def test_grants() -> None:
    key = EncKey.from_seed(seed(FILES["grants"]["recipient"]))

    def run(case: Case) -> None:
        core, sealed = raw(case["core"]), raw(case["sealed"])
        assert grant_digest(core, sealed) == case["digest"]

        def part(ref: PartRef) -> bytes:
            if ref.sha256 not in case["parts"]:
                raise PartMissing("the part is not there", field=ref.f)
            return raw(case["parts"][ref.sha256])

        opened = open_grant(core, sealed, key, part)
        assert {field: b64u(value) for field, value in opened.items()} == case["fields"]

    assert_codes(FILES["grants"]["cases"], run)


def test_decisions() -> None:
    for case in FILES["decisions"]["cases"]:
        assert rule_of(case["facts"]) == (case["error"], case["rule"]), case["name"]


def event(value: Mapping[str, Any]) -> Event:
    keys = {kid: raw(key) for kid, key in value["keys"].items()}
    return Signed.from_json(value["event"], 16 * 1024), keys  # type: ignore[return-value]


def story() -> tuple[DirectoryState, tuple[Event, ...]]:
    """The recorded directory: its state and its events."""
    file = FILES["directory"]
    log = tuple(event(item) for item in file["story"])
    return apply_all(DirectoryState.empty(file["origin"], pin=file["pin"]), log), log


def test_the_directory() -> None:
    file = FILES["directory"]
    state, log = story()
    assert state_json(state) == file["state"]
    assert b64u(state.frontier.root()) == file["roots"][len(log) - 1]

    def run(case: Case) -> None:
        before = apply_all(state, [event(item) for item in case["before"]])
        apply_all(before, [event(case["next"])])

    assert_codes(file["cases"], run)
    empty = DirectoryState.empty(file["origin"], pin=file["pin"])
    assert_codes(file["starts"], lambda case: apply_all(empty, [event(case["next"])]))


def test_objects_and_heads() -> None:
    state, _ = story()

    def run(case: Case) -> None:
        now = parse_time(case["now"], field="now")
        after = apply_all(state, [event(item) for item in case["before"]])
        check_object(after, case["jws"], case["typ"], now)

    assert_codes(FILES["objects"]["cases"], run)
    heads = FILES["objects"]["heads"]
    assert_codes(heads, lambda case: check_head(state, case["head"], case["recipient"]))


def test_receipts_of_the_hub() -> None:
    file = FILES["receipts"]
    assert_codes(file["cases"], lambda case: verify_entry(raw(case["entry"]), case["proof"], [file["vkey"]]))


def test_envelopes() -> None:
    file = FILES["envelopes"]
    state, log = story()
    key = enc(file["enc"])

    def run(case: Case) -> None:
        values = open_answer(
            Copy(log, state),
            Keys({key.public.kid: key}),
            agency=file["agency"],
            gid=case["gid"],
            answer=case["answer"],
            now=parse_time(case["now"], field="now"),
            withdrawn=case["withdrawn"],
        )
        assert values == case["values"]

    assert_codes(file["cases"], run)


def test_attachments() -> None:
    file = FILES["attachments"]

    def run(case: Case) -> None:
        assert digest(opened(file, case)) == case["plain"]

    assert_codes(file["cases"], run)


def test_pages_of_the_directory() -> None:
    file, events = FILES["pages"], FILES["directory"]["story"]

    def run(case: Case) -> None:
        log = followed(file, case, events)
        assert (log.state.size, b64u(log.state.frontier.root())) == (case["size"], case["root"])

    assert_codes(file["cases"], run)


def test_the_recorder_records_the_same_cases() -> None:
    fresh = record_all()
    assert set(fresh) == set(FILES)
    for name, file in fresh.items():
        for key, value in file.items():
            if isinstance(value, list) and value and isinstance(value[0], dict) and "error" in value[0]:
                kept = FILES[name][key]
                assert [(case["name"], case["error"]) for case in value] == [
                    (case["name"], case["error"]) for case in kept
                ]
    for name in ("codec", "keys", "payloads", "values", "decisions", "receipts"):
        recorded = {key: value for key, value in FILES[name].items() if key != "about"}
        assert json.loads(json.dumps(fresh[name])) == recorded


def test_no_secret_stands_in_the_files() -> None:
    labels = [
        *(case["name"] for case in FILES["keys"]["keys"]),
        "enc a",
        "part key",
        "another part key",
        "stranger",
        "embassy enc",
        "ngo envelope",
        "ngo approver amal",
        "operator ann",
    ]
    for name in NAMES:
        text = (FOLDER / f"{name}.json").read_text()
        for label in labels:
            assert b64u(seed(label)) not in text
            assert seed(label).hex() not in text
