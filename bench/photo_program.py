"""`exchange-agency` with a photo of 25 MiB against a real hub: the most memory that it ever had.

Each command runs on a terminal of its own, as a caseworker's does, so that the bars and cards of a terminal
are counted. Key files have the cost that is for tests only: an honest Argon2id takes 256 MiB for a moment
before anything is sealed, which would hide what sealing takes.
"""

import errno
import json
import os
import pty
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from io import FileIO
from pathlib import Path
from typing import Final

from PIL import Image

from bench.table import Row
from exchange.agency import Client, Terms
from exchange.agency.records import PHOTOS
from exchange.member import stored_files
from exchange.sandbox.build import ORIGIN
from exchange.sandbox.hub import LocalHub
from exchange.sandbox.members import EMBASSY, RIVER, Enrolled, enrol_all
from exchange.sandbox.programs import INSECURE_KDF
from exchange_schemas.codec import JsonValue
from exchange_schemas.limits import LIMITS

AIM_MIB: Final = 60
SIZE: Final = LIMITS.attachment_bytes
_FIELDS: Final = ("child_ref", "name_given", "sex", "age_range", "current_area")
_CHILD: Final[dict[str, JsonValue]] = {
    "name_given": {"text": "Plantedname", "script": "Latn"},
    "sex": "female",
    "age_range": {"min": 5, "max": 7, "as_of": "2026-05-01"},
    "current_area": {"country": "IQ", "area": "IQ-NI"},
}
# The program itself; at its end the kernel's high-water mark in KiB and its CPU seconds go to a descriptor.
_MEASURED: Final = """
import json, os, sys, time
from exchange.agency.cli import main
try:
    main()
finally:
    status = open("/proc/self/status").read()
    peak = int(status[status.index("VmHWM:"):].split()[1])
    os.write(int(os.environ["BENCH_FD"]), json.dumps([peak, time.process_time()]).encode())
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """One command: its peak of resident memory in MiB, and the CPU seconds from its start to its end."""

    peak_mib: float
    cpu: float


def rows() -> list[Row]:
    """Send and open a record without a photo and one with; the peaks, and the CPU time of the photo."""
    with tempfile.TemporaryDirectory(prefix="homeward-bench-") as name, _exchange(Path(name)) as enrolled:
        ngo, embassy = enrolled[RIVER.id], enrolled[EMBASSY.id]
        picture = Path(name) / "picture.jpg"
        Image.new("RGB", (64, 64)).save(picture)
        with ngo.open() as client:
            client.sync()
            without, pictured = _record(client), _record(client, picture)
        send = ("--kind", "found_notice", "--to", EMBASSY.id)
        sent = [_run(ngo, "send", ref, *send) for ref in (without, pictured)]
        with embassy.open() as client:
            client.sync()
            first, second = (item.gid for item in client.inbox())
        saved = str(Path(name) / "saved.jpg")
        opened = [_run(embassy, "open", first), _run(embassy, "open", second, "--save-photo", saved)]
    return [
        _peak("attachment.send_program_mib", *sent),
        _peak("attachment.fetch_program_mib", *opened),
        _speed("attachment.send_program_mb_per_cpu_s", *sent),
        _speed("attachment.fetch_program_mb_per_cpu_s", *opened),
    ]


def _peak(name: str, small: Measured, large: Measured) -> Row:
    note = f"VmHWM of exchange-agency; without a photo {small.peak_mib:.1f} MiB"
    return Row(name, large.peak_mib, "MiB", aim=AIM_MIB, higher_is_better=False, note=note)


def _speed(name: str, small: Measured, large: Measured) -> Row:
    note = "what the photo added: store, seal or open, digests, HTTP"
    return Row(name, SIZE / 1e6 / (large.cpu - small.cpu), "MB/s", note=note)


@contextmanager
def _exchange(folder: Path) -> Iterator[dict[str, Enrolled]]:
    """A hub with two agencies, served until the block ends."""
    hub = LocalHub(folder, origin=ORIGIN)
    had = os.environ.get(INSECURE_KDF)
    os.environ[INSECURE_KDF] = "1"
    try:
        hub.create()
        hub.start()
        yield enrol_all(folder, hub, insecure=True, who=(EMBASSY, RIVER))
    finally:
        hub.stop()
        os.environ.pop(INSECURE_KDF) if had is None else os.environ.update({INSECURE_KDF: had})


def _record(client: Client, picture: Path | None = None) -> str:
    """A record that may be sent to the embassy; its reference. The largest file there may be is its photo."""
    ref = client.records.add(_CHILD).ref
    client.records.decide(ref, procedure="bia", outcome="for_sharing", body="panel of the bench")
    if picture is not None:
        client.records.attach_photo(ref, picture)
        stored_files.keep(client.session.store, PHOTOS, ref, b"\xff\xd8\xff" + os.urandom(SIZE - 3))
    terms = Terms(
        purposes=("trace",),
        evidence="minutes",
        fields=_FIELDS if picture is None else (*_FIELDS, "photo"),
        kind="found_notice",
        basis="best_interests_decision",
        screening="cleared",
        screening_evidence="form",
        lasts=timedelta(days=60),
    )
    client.consents.grant(ref, to=EMBASSY.id, terms=terms)
    return ref


def _run(who: Enrolled, *words: str) -> Measured:
    """Run one command on a terminal of its own to its good end."""
    account = ("--home", str(who.home), "--passphrase-file", str(who.passphrase_file))
    terminal, inside = pty.openpty()
    told, telling = os.pipe()
    with FileIO(terminal) as screen, os.fdopen(told, "rb") as figures:
        process = subprocess.Popen(
            [sys.executable, "-c", _MEASURED, *account, *words],
            stdin=inside,
            stdout=inside,
            stderr=inside,
            pass_fds=(telling,),
            env=os.environ | {"BENCH_FD": str(telling), "TERM": "xterm"},
        )
        os.close(inside)
        os.close(telling)
        said = _until_closed(screen)
        if process.wait() != 0:
            raise RuntimeError(f"exchange-agency {words[0]} ended with {process.returncode}:\n{said}")
        peak, cpu = json.loads(figures.read())
    return Measured(peak / 1024, cpu)


def _until_closed(screen: FileIO) -> str:
    """What the program showed; Linux ends a terminal whose program is gone with EIO."""
    said = bytearray()
    try:
        while data := screen.read(4096):
            said += data
    except OSError as error:
        if error.errno != errno.EIO:
            raise
    return said.decode("utf-8", "replace")
