"""A photo comes down over a bad line: nothing comes twice, and only the right whole is opened."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from exchange.agency import Client
from exchange.agency.downloading import KEPT_FOR, SUFFIX, WORTH_BYTES, sweep
from exchange.agency.model import Picture
from exchange_keys.padding import padded_length
from exchange_keys.parts import sealed_length
from exchange_schemas.errors import ConsentWithdrawn, HubUnreachable, PartDigest
from exchange_schemas.ids import GrantId
from tests.integration.agency.exchange_world import Exchange
from tests.integration.agency.test_agency_attachments import command, keep_photo, pictured

__all__ = ["pictured"]

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]

SIZE = 20 * WORTH_BYTES
PART = "/parts/"


@pytest.fixture
def sent(ngo: Client, embassy: Client, pictured: str) -> tuple[str, Picture]:
    """A long photo that waits for the embassy: the grant, and what will have come."""
    digest = keep_photo(ngo, pictured, SIZE)
    ngo.send("found_notice", to=["embassy"], record=pictured)
    (item,) = embassy.inbox()
    return item.gid, Picture(SIZE, digest)


def fetches(exchange: Exchange) -> list[tuple[str, str]]:
    """(Range, status) of each fetch of a part."""
    return [
        (wanted, status) for path, wanted, status in exchange.asked if "/grants/" in path and PART in path
    ]


def sealed_size() -> int:
    """The length of the photo's ciphertext."""
    return sealed_length(padded_length(SIZE, None))


def left(client: Client) -> list[Path]:
    """What lies half fetched."""
    return sorted(client.session.home.spool.glob(f"*{SUFFIX}"))


def test_after_a_cut_only_the_rest_is_fetched(
    exchange: Exchange, embassy: Client, sent: tuple[str, Picture]
) -> None:
    gid, photo = sent
    exchange.cut[PART] = [5 * WORTH_BYTES, 7 * WORTH_BYTES]
    assert embassy.open_grant(gid).photo == photo
    assert fetches(exchange) == [
        ("", "200"),
        (f"bytes={5 * WORTH_BYTES}-", "206"),
        (f"bytes={12 * WORTH_BYTES}-", "206"),
    ]
    assert left(embassy) == []
    # Each of them is in the hub's log, and its receipt is proved like any other.
    embassy.sync()
    assert sum(one.act == "part:fetch" for one in embassy.receipts()) == 3


def test_a_line_that_breaks_after_a_little_still_brings_that_little(
    exchange: Exchange, embassy: Client, sent: tuple[str, Picture]
) -> None:
    gid, photo = sent
    exchange.cut[PART] = [20_000, 0, 0, 0]
    with pytest.raises(HubUnreachable):
        embassy.open_grant(gid)
    exchange.asked.clear()
    assert embassy.open_grant(gid).photo == photo
    assert fetches(exchange) == [(f"bytes={2 * 8192}-", "206")]


def test_a_line_that_brings_nothing_ends_the_command_and_the_next_one_goes_on(
    exchange: Exchange, embassy: Client, sent: tuple[str, Picture]
) -> None:
    gid, photo = sent
    exchange.cut[PART] = [WORTH_BYTES, 0, 0, 0]
    with pytest.raises(HubUnreachable):
        embassy.open_grant(gid)
    assert len(fetches(exchange)) == 4
    (half,) = left(embassy)
    assert (half.stat().st_size, half.stat().st_mode & 0o777) == (WORTH_BYTES, 0o600)
    assert half.name.startswith(gid)
    assert embassy.open_grant(gid).photo == photo
    assert fetches(exchange)[4:] == [(f"bytes={WORTH_BYTES}-", "206")]
    assert left(embassy) == []


def test_a_program_that_is_killed_has_lost_no_more_than_a_piece(
    exchange: Exchange, embassy: Client, sent: tuple[str, Picture]
) -> None:
    gid, photo = sent
    embassy.close()
    spool = exchange.folder / "embassy" / "spool"
    # The rest is held back, until the program has written what came and waits for more.
    exchange.hold[PART] = 9 * WORTH_BYTES
    with command(exchange, "embassy", "open", gid) as process:
        deadline = time.monotonic() + 60
        while sum(path.stat().st_size for path in spool.glob(f"*{SUFFIX}")) < 9 * WORTH_BYTES:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    exchange.hold.clear()
    exchange.released.set()
    with exchange.client(exchange.folder / "embassy") as later:
        assert later.open_grant(gid).photo == photo
        assert fetches(exchange)[-1] == (f"bytes={9 * WORTH_BYTES}-", "206")
        assert left(later) == []


def test_a_beginning_that_the_machine_has_spoilt_is_thrown_away_once(
    exchange: Exchange, ngo: Client, embassy: Client, pictured: str
) -> None:
    digest = keep_photo(ngo, pictured, SIZE)
    rest, whole = (f"bytes={WORTH_BYTES}-", "206"), ("", "200")
    spoilt = {
        bytes(WORTH_BYTES): [rest, whole],
        os.urandom(sealed_size()): [whole],
        os.urandom(2 * SIZE): [whole],
    }
    for data, expected in spoilt.items():
        ngo.send("found_notice", to=["embassy"], record=pictured)
        *_, item = embassy.inbox()
        exchange.cut[PART] = [WORTH_BYTES, 0, 0, 0]
        with pytest.raises(HubUnreachable):
            embassy.open_grant(item.gid)
        (half,) = left(embassy)
        half.write_bytes(data)
        exchange.asked.clear()
        assert embassy.open_grant(item.gid).photo == Picture(SIZE, digest)
        assert fetches(exchange) == expected
        assert left(embassy) == []


@pytest.mark.parametrize("lie", [lambda body: body[:-1] + b"?", lambda body: body + bytes(SIZE)])
def test_other_bytes_or_more_of_them_are_refused_and_nothing_of_them_stays(
    lie: Callable[[bytes], bytes], exchange: Exchange, embassy: Client, sent: tuple[str, Picture]
) -> None:
    gid, _ = sent
    exchange.cut[PART] = [WORTH_BYTES]
    exchange.change = lambda path, body: lie(body) if "/grants/" in path and PART in path else body
    with pytest.raises(PartDigest):
        embassy.open_grant(gid)
    assert left(embassy) == []


def test_what_is_withdrawn_while_it_comes_is_given_no_further(
    exchange: Exchange, ngo: Client, embassy: Client, sent: tuple[str, Picture]
) -> None:
    gid, _ = sent
    exchange.cut[PART] = [WORTH_BYTES, 0, 0, 0]
    with pytest.raises(HubUnreachable):
        embassy.open_grant(gid)
    assert len(left(embassy)) == 1
    (consent,) = ngo.consents.each()
    ngo.withdraw(consent.cid)
    with pytest.raises(ConsentWithdrawn):
        embassy.open_grant(gid)
    assert left(embassy) == []


def test_a_withdrawal_between_two_pieces_is_no_refusal_of_the_recipients(
    exchange: Exchange, ngo: Client, embassy: Client, sent: tuple[str, Picture]
) -> None:
    gid, _ = sent
    (consent,) = ngo.consents.each()

    def withdraw(_what: str, done: int, _all: int) -> None:
        if done == WORTH_BYTES:
            ngo.withdraw(consent.cid)

    exchange.cut[PART] = [WORTH_BYTES]
    embassy.on_bytes = withdraw
    with pytest.raises(ConsentWithdrawn):
        embassy.open_grant(gid)
    assert fetches(exchange)[-1][1] == "410"
    assert left(embassy) == []
    (told,) = (one for one in ngo.outbox() if one.gid == gid)
    assert told.outcome is None


def test_two_commands_that_fetch_the_same_do_not_write_into_one_file(
    exchange: Exchange, embassy: Client, sent: tuple[str, Picture]
) -> None:
    gid, photo = sent
    opened: list[Picture | None] = []

    def meanwhile(_what: str, _done: int, _all: int) -> None:
        if opened:
            return
        opened.append(None)
        with exchange.client(exchange.folder / "embassy") as other:
            opened.append(other.open_grant(gid).photo)

    embassy.on_bytes = meanwhile
    assert embassy.open_grant(gid).photo == photo
    assert opened == [None, photo]
    assert left(embassy) == []


def test_what_nobody_goes_on_with_is_deleted_after_a_week(embassy: Client, tmp_path: Path) -> None:
    now = embassy.session.now()
    old, young, other = (tmp_path / f"{name}{SUFFIX}" for name in ("a.1", "b.1", "c.1"))
    for path, age in ((old, KEPT_FOR + timedelta(hours=1)), (young, KEPT_FOR - timedelta(hours=1))):
        path.write_bytes(b"x")
        when = (now - age).timestamp()
        os.utime(path, (when, when))
    other.write_bytes(b"x")
    sweep(tmp_path, now)
    assert (old.exists(), young.exists()) == (False, True)
    sweep(tmp_path, now, GrantId("b"))
    assert (young.exists(), other.exists()) == (False, True)
