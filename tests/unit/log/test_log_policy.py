"""Trust policies: what a file may say, and when its quorum is met."""

from datetime import UTC, datetime, timedelta

import pytest

from exchange.log.checkpoint import Checkpoint, sign_checkpoint, vkey
from exchange.log.cosignature import cosign, cosigner_vkey, parse_cosigner
from exchange.log.policy import Policy
from exchange.log.tree import leaf_hash
from exchange_keys.signing import SigningKey
from exchange_schemas.errors import CheckpointInvalid, ConfigInvalid

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ORIGIN = "homeward.test/audit"
LOG = SigningKey.from_seed(bytes(32))
LOG_VKEY = vkey(ORIGIN, LOG.public.raw)
NAMES = ("X1", "X2", "X3", "Y1", "Y2", "Y3")
KEYS = {name: SigningKey.from_seed(bytes([at]) * 32) for at, name in enumerate(NAMES, 1)}
NOTE = sign_checkpoint(Checkpoint(ORIGIN, 1, leaf_hash(b"entry")), LOG)
# A witness of the public network; its key id was computed by others.
PUBLIC_WITNESS = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"


def witness(name: str) -> str:
    return f"witness {name} {cosigner_vkey(f'{name}.example', KEYS[name].public.raw)}"


WITNESSES = "\n".join(witness(name) for name in NAMES)
# The example of the specification, with keys.
EXAMPLE = f"""# two operators
log {LOG_VKEY} https://hub.example/
{WITNESSES}
group X-witnesses 2 X1 X2 X3
\tgroup  Y-witnesses\tany Y1 Y2 Y3

  # both
group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""


def policy(text: str) -> Policy:
    return Policy.from_bytes(text.encode())


def note(**ages: int) -> str:
    """The checkpoint, cosigned by these witnesses that many minutes ago."""
    lines = [
        cosign(NOTE, KEYS[name], f"{name}.example", NOW - timedelta(minutes=age))
        for name, age in ages.items()
    ]
    return NOTE + "".join(lines)


def test_a_published_witness_key_has_the_key_id_that_it_names() -> None:
    key = parse_cosigner(PUBLIC_WITNESS)
    assert (key.name, key.key_id.hex(), key.type) == ("remora.n621.de", "da77ade7", 4)


@pytest.mark.parametrize(
    ("ages", "minutes"),
    [
        ({}, None),
        ({"X1": 1, "X2": 2}, None),
        ({"X1": 1, "Y1": 2, "Y2": 2, "Y3": 3}, None),
        ({"X1": 1, "X2": 2, "Y3": 3}, 3),
        ({"X1": 9, "X2": 2, "X3": 5, "Y1": 1, "Y2": 30}, 5),
    ],
)
def test_the_quorum_of_groups_is_as_old_as_the_last_member_it_needs(
    ages: dict[str, int], minutes: int | None
) -> None:
    judged = policy(EXAMPLE).judge(note(**ages), NOW)
    assert judged.quorum.witnessed is (minutes is not None)
    assert judged.quorum.when == (None if minutes is None else NOW - timedelta(minutes=minutes))
    assert {item.witness.name for item in judged.quorum.cosignatures} == {f"{name}.example" for name in ages}


def test_a_policy_without_a_quorum_asks_for_no_witness_and_claims_no_time() -> None:
    judged = policy(f"log {LOG_VKEY}\nquorum none\n").judge(NOTE, NOW)
    assert (judged.checkpoint.size, judged.quorum.witnessed, judged.quorum.when) == (1, True, None)


def test_a_single_witness_may_be_the_quorum() -> None:
    one = policy(f"log {LOG_VKEY}\n{witness('X1')} https://w.example/\nquorum X1\n")
    assert one.witnesses["X1"].url == "https://w.example/"
    assert one.judge(note(X1=1), NOW).quorum.witnessed
    assert not one.judge(note(X2=1), NOW).quorum.witnessed


def test_a_checkpoint_that_no_log_of_the_policy_signed_is_refused() -> None:
    other = sign_checkpoint(Checkpoint(ORIGIN, 1, leaf_hash(b"entry")), KEYS["X1"])
    with pytest.raises(CheckpointInvalid):
        policy(EXAMPLE).judge(other, NOW)
    with pytest.raises(CheckpointInvalid):
        policy(EXAMPLE).judge(note(X1=1), NOW, origin="homeward.test/directory")


def test_a_bad_line_of_a_named_witness_spoils_the_note() -> None:
    other = sign_checkpoint(Checkpoint(ORIGIN, 2, leaf_hash(b"entry")), LOG)
    with pytest.raises(CheckpointInvalid):
        policy(EXAMPLE).judge(NOTE + cosign(other, KEYS["X1"], "X1.example", NOW), NOW)


def test_a_cosignature_from_the_future_meets_no_quorum() -> None:
    one = policy(f"log {LOG_VKEY}\n{witness('X1')}\nquorum X1\n")
    assert one.judge(note(X1=-2), NOW).quorum.witnessed
    assert not one.judge(note(X1=-3), NOW).quorum.witnessed


def test_names_are_opaque_octets() -> None:
    text = f"log {LOG_VKEY}\n# \xe9\nwitness \xff {cosigner_vkey('w', KEYS['X1'].public.raw)}\nquorum \xff\n"
    assert Policy.from_bytes(text.encode("latin-1")).quorum not in ("\xff", "")


TWICE = cosigner_vkey("another.example", KEYS["X1"].public.raw)


@pytest.mark.parametrize(
    "lines",
    [
        "",
        f"{witness('X1')}\n",
        "quorum unknown\n",
        f"{witness('X1')}\nquorum X1\nquorum X1\n",
        f"{witness('X1')}\n{witness('X1')}\nquorum X1\n",
        f"{witness('X1')}\nwitness X2 {TWICE}\nquorum X1\n",
        f"log {LOG_VKEY}\nlog {vkey('other', LOG.public.raw)}\nquorum none\n",
        f"witness none {TWICE}\nquorum none\n",
        f"witness X1 {LOG_VKEY}\nquorum X1\n",
        f"log {TWICE}\nquorum none\n",
        "witness X1 nonsense\nquorum X1\n",
        f"witness \xe9 w\xe9+00000000+{TWICE}\nquorum none\n",
        f"{witness('X1')} https://w.example/ more\nquorum X1\n",
        f"{witness('X1')}\ngroup g 0 X1\nquorum g\n",
        f"{witness('X1')}\ngroup g 2 X1\nquorum g\n",
        f"{witness('X1')}\ngroup g -1 X1\nquorum g\n",
        f"{witness('X1')}\ngroup g 01 X1\nquorum g\n",
        f"{witness('X1')}\ngroup g most X1\nquorum g\n",
        f"{witness('X1')}\ngroup g all\nquorum g\n",
        f"{witness('X1')}\ngroup g any X1 X1\nquorum g\n",
        f"{witness('X1')}\ngroup g any X1\ngroup h any X1\nquorum h\n",
        f"{witness('X1')}\ngroup g any g\nquorum g\n",
        f"{witness('X1')}\ngroup g any none\nquorum g\n",
        f"quorum X1\n{witness('X1')}\n",
        f"{witness('X1')}\r\nquorum X1\r\n",
        f"{witness('X1')}\nquorum X1",
        f"{witness('X1')}\nquorum X1 # why\n",
        "weakness X1\nquorum none\n",
        "#" * 300_000 + "\n",
    ],
)
def test_a_policy_that_is_none_is_refused(lines: str) -> None:
    with pytest.raises(ConfigInvalid):
        policy(lines)


def test_more_of_a_kind_than_anybody_needs_is_refused() -> None:
    def witnesses(count: int) -> str:
        keys = [SigningKey.from_seed(bytes([at, 7]) * 16) for at in range(count)]
        return "".join(f"witness w{at} {cosigner_vkey('w', k.public.raw)}\n" for at, k in enumerate(keys))

    assert len(policy(witnesses(64) + "quorum w0\n").witnesses) == 64
    with pytest.raises(ConfigInvalid):
        policy(witnesses(65) + "quorum w0\n")
    groups = "".join(f"group g{at} any {'X1' if at == 0 else f'g{at - 1}'}\n" for at in range(64))
    assert len(policy(f"{witness('X1')}\n{groups}quorum g63\n").groups) == 64
    with pytest.raises(ConfigInvalid):
        policy(f"{witness('X1')}\n{groups}group g64 any g63\nquorum g64\n")
