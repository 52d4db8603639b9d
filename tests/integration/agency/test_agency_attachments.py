"""Photos: sealed from the store, uploaded in pieces, opened into the store; memory stays flat."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import delete

from exchange.agency import Client
from exchange.agency.model import Picture
from exchange.agency.records import PHOTOS
from exchange.agency.uploading import FIRST_BYTES, PIECE_BYTES
from exchange.hub.db import writing
from exchange.hub.models.parts import part
from exchange.member import stored_files
from exchange_schemas.errors import (
    HubRefused,
    HubUnreachable,
    Malformed,
    PhotoRefused,
    RecordUnknown,
    StorageFull,
)
from exchange_schemas.limits import LIMITS
from tests.integration.agency.exchange_world import (
    CHILD,
    PASSPHRASE,
    USER,
    Exchange,
    child_with_decision,
    found_terms,
)
from tests.unit.agency.cli_runner import secret_file
from tests.unit.agency_imports.test_photo_hostile import jpeg_of

pytestmark = [pytest.mark.server, pytest.mark.allow_hosts(["127.0.0.1"])]

MEMORY_KIB = 60 * 1024
AGE_AND_AREA = ("--field", "age_range", "--field", "current_area")
# The command line itself, and the most memory that it ever had, in KiB, as its last line.
MEASURED = """
import sys
from exchange.agency.cli import main
try:
    main()
finally:
    status = open("/proc/self/status").read()
    print(status[status.index("VmHWM:"):].split()[1], file=sys.stderr)
"""


def picture(path: Path, side: int = 600) -> Path:
    """A noisy picture that JPEG cannot make small."""
    image = Image.effect_noise((side, side), 80).convert("RGB")
    image.save(path, quality=95)
    return path


@pytest.fixture
def pictured(ngo: Client, embassy: Client, tmp_path: Path) -> str:
    """A record with a photo and a consent to the embassy; its reference."""
    ngo.sync()
    ref = child_with_decision(ngo)
    ngo.records.attach_photo(ref, picture(tmp_path / "p.jpg"))
    ngo.consents.grant(ref, to="embassy", terms=found_terms())
    return ref


def keep_photo(client: Client, ref: str, size: int) -> str:
    """Put a long photo in place of the record's, as another program might send it; its SHA-256."""
    data = b"\xff\xd8\xff" + os.urandom(size - 3)
    return stored_files.keep(client.session.store, PHOTOS, ref, data).sha256


def command(exchange: Exchange, agency: str, *words: str) -> subprocess.Popen[str]:
    """The agency program in a process of its own."""
    secret = secret_file(exchange.folder / "user.pass", PASSPHRASE)
    home = str(exchange.folder / agency)
    account = ("--home", home, "--user", USER, "--passphrase-file", str(secret))
    return subprocess.Popen(
        [sys.executable, "-c", MEASURED, *account, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def peak_kib(exchange: Exchange, agency: str, *words: str) -> int:
    """Run a command to its good end; the most memory that it had."""
    with command(exchange, agency, *words) as process:
        said, errors = process.communicate()
    assert process.returncode == 0, said + errors
    return int(errors.splitlines()[-1])


class Uploads:
    """Counts the pieces that the hub has answered, and does something after one of them."""

    def __init__(self, exchange: Exchange) -> None:
        self.answers: list[int] = []
        self.after: dict[int, object] = {}
        exchange.change = self.change

    def change(self, path: str, body: bytes) -> bytes:
        """What the exchange calls with every answer."""
        if path.startswith("/v1/parts/"):
            self.answers.append(len(body))
            act = self.after.get(len(self.answers))
            if callable(act):
                act()
        return body


def test_a_photo_travels_sealed_and_only_to_whom_may_have_it(
    exchange: Exchange, ngo: Client, embassy: Client, tmp_path: Path
) -> None:
    heard: list[tuple[str, int, int]] = []
    with exchange.joined("commission", kind="commission") as commission:
        ngo.sync()
        ref = child_with_decision(ngo)
        ngo.records.attach_photo(ref, picture(tmp_path / "p.jpg"), taken_on="2026-05")
        ngo.consents.grant(ref, to="embassy", terms=found_terms())
        few = ("name_given", "sex", "age_range", "current_area")
        ngo.consents.grant(ref, to="commission", terms=found_terms(fields=few))
        ngo.on_bytes = lambda *told: heard.append(told)
        ngo.send("found_notice", to=["embassy", "commission"], record=ref)
        (first,), (second,) = list(embassy.inbox()), list(commission.inbox())
        seen, less = embassy.open_grant(first.gid), commission.open_grant(second.gid)
        sent_jpeg, came = ngo.records.photo(ref), embassy.photo(first.gid)
        assert came is not None
        assert came.read() == sent_jpeg
        assert seen.photo == Picture(came.size, sha256(came.read()).hexdigest())
        assert less.photo is None
        assert set(less.fields) == {*few, "child_ref"}
        assert seen.fields["child_ref"] != less.fields["child_ref"]
        assert first.thread != second.thread
        assert heard[-1][1] == heard[-1][2] > 65536
        kept = embassy.message(first.gid)
        assert kept is not None
        assert kept.photo == seen.photo
    for path in exchange.folder.rglob("*"):
        if path.is_file() and path.suffix != ".jpg":
            data = path.read_bytes()
            assert b"Plantedname" not in data, path
            assert came.read()[2000:2100] not in data, path
    assert list((exchange.folder / "ngo" / "spool").glob("*.part")) == []


def test_an_attachment_of_30_mib_is_refused_with_its_limit(ngo: Client, tmp_path: Path) -> None:
    big = tmp_path / "big.jpg"
    big.write_bytes(b"\xff\xd8\xff" + bytes(30 * 1024 * 1024))
    ref = ngo.records.add(CHILD).ref
    with pytest.raises(PhotoRefused) as caught:
        ngo.records.attach_photo(ref, big)
    assert caught.value.rule == "photo-bytes"


def test_a_long_photo_goes_up_in_pieces(
    exchange: Exchange, ngo: Client, embassy: Client, pictured: str
) -> None:
    digest = keep_photo(ngo, pictured, 3 * PIECE_BYTES)
    uploads, heard = Uploads(exchange), list[int]()
    ngo.on_bytes = lambda _what, done, _all: heard.append(done)
    ngo.send("found_notice", to=["embassy"], record=pictured)
    assert len(uploads.answers) == 5
    assert heard[:2] == [FIRST_BYTES, FIRST_BYTES + PIECE_BYTES]
    assert heard == sorted(heard)
    (item,) = embassy.inbox()
    assert embassy.open_grant(item.gid).photo == Picture(3 * PIECE_BYTES, digest)


def test_a_program_that_is_killed_goes_on_where_the_hub_stands(
    exchange: Exchange, ngo: Client, embassy: Client, pictured: str
) -> None:
    digest = keep_photo(ngo, pictured, 6 * PIECE_BYTES)
    ngo.close()
    uploads = Uploads(exchange)
    with command(exchange, "ngo", "send", pictured, "--kind", "found_notice", "--to", "embassy") as process:
        uploads.after[4] = process.kill
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    with exchange.client(exchange.folder / "ngo") as later:
        (job,) = later.spooled()
        before = len(uploads.answers)
        (sent,) = later.resume()
        assert sent.eid == job.eid
        # One small piece to ask, then what was missing: nothing that had arrived is sent again.
        assert len(uploads.answers) - before <= 1 + 7 - 3
        assert later.spooled() == []
        assert list(later.session.home.spool.glob("*.part")) == []
    (item,) = embassy.inbox()
    opened = embassy.open_grant(item.gid).photo
    assert opened is not None
    assert opened.sha256 == digest


@pytest.mark.parametrize("lost", [1, 2, 9])
def test_a_broken_line_costs_no_more_than_a_piece(
    lost: int, exchange: Exchange, ngo: Client, embassy: Client, pictured: str
) -> None:
    digest = keep_photo(ngo, pictured, 4 * PIECE_BYTES)
    uploads = Uploads(exchange)
    uploads.after[2] = lambda: exchange.lose.update({"/v1/parts/": lost})
    if lost > 2:
        with pytest.raises(HubUnreachable):
            ngo.send("found_notice", to=["embassy"], record=pictured)
        exchange.lose.clear()
        before = len(uploads.answers)
        assert len(ngo.resume()) == 1
        assert len(uploads.answers) - before <= 4
    else:
        ngo.send("found_notice", to=["embassy"], record=pictured)
    (item,) = embassy.inbox()
    opened = embassy.open_grant(item.gid).photo
    assert opened is not None
    assert opened.sha256 == digest


@pytest.mark.parametrize("received", [b"-1", b"true", b"99999999", b'"7"', b"null"])
def test_a_hub_that_lies_about_what_it_has_is_refused(
    received: bytes, exchange: Exchange, ngo: Client, pictured: str
) -> None:
    keep_photo(ngo, pictured, 2 * PIECE_BYTES)

    def lie(path: str, body: bytes) -> bytes:
        return body.replace(b'"received":65536', b'"received":' + received) if "/parts/" in path else body

    exchange.change = lie
    with pytest.raises((HubRefused, Malformed)):
        ngo.send("found_notice", to=["embassy"], record=pictured)


def test_a_hub_that_keeps_nothing_is_not_sent_the_file_for_ever(
    exchange: Exchange, ngo: Client, pictured: str
) -> None:
    keep_photo(ngo, pictured, 2 * PIECE_BYTES)
    asked: list[str] = []

    def forget(path: str, body: bytes) -> bytes:
        asked.append(path)
        return body.replace(b'"received":65536', b'"received":0') if "/parts/" in path else body

    exchange.change = forget
    with pytest.raises(HubRefused):
        ngo.send("found_notice", to=["embassy"], record=pictured)
    assert len([path for path in asked if "/parts/" in path]) <= 5


def test_25_mib_are_sealed_sent_fetched_and_opened_in_constant_memory(
    exchange: Exchange, ngo: Client, embassy: Client, pictured: str, tmp_path: Path
) -> None:
    """The peak of the whole agency program, beyond that of the same program without a photo."""
    digest = keep_photo(ngo, pictured, LIMITS.attachment_bytes)
    ngo.close()
    embassy.close()
    send = ("send", pictured, "--kind", "found_notice", "--to", "embassy")
    small = peak_kib(exchange, "ngo", *send, "--field", "sex", "--field", "name_given", *AGE_AND_AREA)
    large = peak_kib(exchange, "ngo", *send)
    assert large - small < MEMORY_KIB
    with exchange.client(exchange.folder / "embassy") as client:
        without, with_photo = (item.gid for item in client.inbox())
    out = tmp_path / "out.jpg"
    small = peak_kib(exchange, "embassy", "open", without)
    large = peak_kib(exchange, "embassy", "open", with_photo, "--save-photo", str(out))
    assert large - small < MEMORY_KIB
    with out.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == digest
    assert peak_kib(exchange, "embassy", "open", with_photo, "--kept") - small < MEMORY_KIB


def test_a_photo_that_is_no_jpeg_is_refused_and_nothing_of_it_kept(
    exchange: Exchange, ngo: Client, embassy: Client, pictured: str
) -> None:
    stored_files.keep(ngo.session.store, PHOTOS, pictured, b"GIF89a" + bytes(70_000))
    ngo.send("found_notice", to=["embassy"], record=pictured)
    (item,) = embassy.inbox()
    with pytest.raises(Malformed) as caught:
        embassy.open_grant(item.gid)
    assert caught.value.rule == "photo-format"
    with pytest.raises(RecordUnknown):
        embassy.photo(item.gid)
    (told,) = ngo.outbox()
    assert (told.outcome, told.outcome_code) == ("refused", "MALFORMED")


def test_a_hostile_picture_of_a_partner_stays_a_file_and_stops_nothing(
    exchange: Exchange, ngo: Client, embassy: Client, pictured: str, tmp_path: Path
) -> None:
    bomb = jpeg_of(65_535, 65_535)
    stored_files.keep(ngo.session.store, PHOTOS, pictured, bomb)
    ngo.send("found_notice", to=["embassy"], record=pictured)
    (item,) = embassy.inbox()
    message = embassy.open_grant(item.gid)
    assert message.photo == Picture(len(bomb), sha256(bomb).hexdigest())
    embassy.close()
    thumb = tmp_path / "small.jpg"
    with command(exchange, "embassy", "open", item.gid, "--kept", "--save-thumbnail", str(thumb)) as process:
        _, errors = process.communicate()
    assert process.returncode not in (0, None)
    assert "PHOTO_REFUSED" in errors
    assert "Traceback" not in errors
    assert not thumb.exists()


def test_an_upload_that_the_hub_has_lost_goes_up_again(
    exchange: Exchange, ngo: Client, embassy: Client, pictured: str
) -> None:
    exchange.lose["/v1/envelopes"] = 9
    with pytest.raises(HubUnreachable):
        ngo.send("found_notice", to=["embassy"], record=pictured)
    exchange.lose.clear()
    with writing(exchange.hub.engine) as conn:
        conn.execute(delete(part).where(part.c.eid.is_(None)))
    assert len(ngo.resume()) == 1
    (stray,) = [exchange.folder / "ngo" / "spool" / "stray.part"]
    stray.write_bytes(b"left by a crash")
    ngo.resume()
    assert not stray.exists()


def test_a_record_whose_sealed_attachment_vanished_is_sealed_anew(
    exchange: Exchange, ngo: Client, embassy: Client, pictured: str
) -> None:
    exchange.stop()
    with pytest.raises(HubUnreachable):
        ngo.send("found_notice", to=["embassy"], record=pictured)
    for path in (exchange.folder / "ngo" / "spool").glob("*.part"):
        path.unlink()
    exchange.start()
    assert len(ngo.resume()) == 1
    (item,) = embassy.inbox()
    assert embassy.open_grant(item.gid).photo is not None


def test_a_full_disk_while_sealing_leaves_nothing_behind(
    ngo: Client, embassy: Client, pictured: str, monkeypatch: pytest.MonkeyPatch
) -> None:

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("exchange_keys.durable.os.fsync", full)
    with pytest.raises(StorageFull):
        ngo.send("found_notice", to=["embassy"], record=pictured)
    assert ngo.spooled() == []
    assert [path.name for path in ngo.session.home.spool.iterdir()] == [".lock"]
    assert list(embassy.inbox()) == []
