"""Importing 10,000 invented PFIF records: how fast against plain XML parsing, and whether memory stays flat.

Each measurement is a process of its own, so that its peak memory is its own. The floor is the standard
library's `iterparse` over the same file, every person cleared when it ends, and nothing else.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Final, NamedTuple

from bench.pfif import write_pfif
from bench.table import Row
from exchange.log.checkpoint import vkey
from exchange_keys.signing import SigningKey
from exchange_schemas.codec import Encodable, b64u, encode

MANY: Final = 10_000
FEW: Final = 1_000
ROUNDS: Final = 2
FLAT_MB: Final = 20.0
USER: Final = "bench"
PASSPHRASE: Final = "not a secret, only for benches"
_KIB_PER_MB: Final = 1024


class Measured(NamedTuple):
    """One run: wall and CPU seconds of the work alone, peak memory of the process in MB."""

    wall: float
    cpu: float
    peak_mb: float


def rows() -> list[Row]:
    """Records a second into the encrypted store, of reading and mapping alone, and peak memory."""
    with tempfile.TemporaryDirectory(prefix="homeward-bench-") as name:
        folder = Path(name)
        many, few = folder / "many.xml", folder / "few.xml"
        write_pfif(many, MANY)
        write_pfif(few, FEW)
        home = _agency(folder)
        rounds = [
            (_run("floor", many), _run("read", many), _run("import", many, home(number)))
            for number in range(ROUNDS)
        ]
        small = _run("import", few, home(ROUNDS))
    floors, reads, imports = zip(*rounds, strict=True)
    peak = max(one.peak_mb for one in imports)
    return [
        _rate("import.records_per_s", imports, "read, map, seal, store; wall time"),
        _ratio("import.ratio_to_iterparse", imports, floors),
        _rate("import.read_records_per_s", reads, "read and map alone"),
        _ratio("import.read_ratio_to_iterparse", reads, floors),
        Row("import.peak_mb", peak, "MB", higher_is_better=False, note=f"{MANY:,} records"),
        Row(
            "import.peak_growth_mb",
            max(0.0, peak - small.peak_mb),
            "MB",
            aim=FLAT_MB,
            higher_is_better=False,
            note=f"against {FEW:,} records ({small.peak_mb:.0f} MB): memory is flat",
        ),
    ]


def _rate(name: str, runs: tuple[Measured, ...], note: str) -> Row:
    return Row(name, MANY / median(one.wall for one in runs), "1/s", note=note)


def _ratio(name: str, runs: tuple[Measured, ...], floors: tuple[Measured, ...]) -> Row:
    ratio = median(one.cpu / floor.cpu for one, floor in zip(runs, floors, strict=True))
    note = f"CPU time; floor {MANY / median(floor.cpu for floor in floors):,.0f}/s"
    return Row(name, ratio, "x", higher_is_better=False, note=note)


def _agency(folder: Path) -> Callable[[int], Path]:
    """Gives new agencies' folders; made by `exchange-agency init`, with the cost that is for tests only.

    An honest Argon2id takes 256 MiB, which would hide what the import takes.
    """
    key, secret, pins = SigningKey.generate(), folder / "passphrase", folder / "deployment.json"
    operator: dict[str, Encodable] = {"name": "noor", "kid": key.public.kid, "key": b64u(key.public.raw)}
    deployment: dict[str, Encodable] = {
        "origin": "bench.example",
        "base_url": "https://hub.bench.example",
        "governance": {"k": 1, "operators": [operator]},
        "directory_vkey": vkey("bench.example/directory", key.public.raw),
        "audit_vkey": vkey("bench.example/audit", key.public.raw),
    }
    pins.write_bytes(encode(deployment))
    secret.touch(mode=0o600)
    secret.write_text(f"{PASSPHRASE}\n", "utf-8")

    def make(number: int) -> Path:
        home = folder / f"agency-{number}"
        program = str(Path(sys.executable).with_name("exchange-agency"))
        options = ["init", "--home", str(home), "--user", USER, "--passphrase-file", str(secret)]
        options += ["--root-passphrase-file", str(secret), "--deployment", str(pins), "--agency", "ngo-bench"]
        options += ["--name", "Bench", "--kind", "ngo", "--country", "IQ", "--contact", "desk@ngo.example"]
        subprocess.run([program, *options], check=True, capture_output=True, env=_environment())
        return home

    return make


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOMEWARD_")}
    return {**kept, "HOMEWARD_INSECURE_KDF": "1"}


def _run(what: str, file: Path, home: Path | None = None) -> Measured:
    arguments = [
        sys.executable,
        "-m",
        "bench.imports",
        what,
        str(file),
        *([] if home is None else [str(home)]),
    ]
    done = subprocess.run(arguments, check=True, capture_output=True, env=_environment())
    return Measured(*json.loads(done.stdout))


# -- in the process that is measured -------------------------------------------------------------------


def _measured(what: str, file: Path, home: Path | None) -> Measured:
    work = {"floor": _floor, "read": _read, "import": _import}[what]
    run = work(file, home)
    wall, cpu = perf_counter(), process_time()
    count = run()
    wall, cpu = perf_counter() - wall, process_time() - cpu
    if count != sum(1 for line in file.open("rb") if line.startswith(b"<pfif:person>")):
        raise SystemExit(f"bench: only {count} records were taken")
    return Measured(wall, cpu, _peak_mb())


def _floor(file: Path, _home: Path | None) -> Callable[[], int]:
    from xml.etree.ElementTree import iterparse

    def run() -> int:
        count = 0
        root = None
        for event, element in iterparse(file, events=("start", "end")):
            if event == "start":
                root = element if root is None else root
            elif element.tag.endswith("}person"):
                count += 1
                if root is not None:
                    root.clear()
        return count

    return run


def _read(file: Path, _home: Path | None) -> Callable[[], int]:
    from datetime import UTC, datetime

    from exchange.agency.imports.model import Imported
    from exchange.agency.imports.source import read_source

    now = datetime.now(UTC)
    return lambda: sum(isinstance(one, Imported) for one in read_source(file, now=now))


def _import(file: Path, home: Path | None) -> Callable[[], int]:
    from exchange.agency import Client

    if home is None:
        raise SystemExit("bench: an import needs an agency's folder")
    client = Client.open(home, USER, PASSPHRASE.encode())
    return lambda: sum(line.outcome == "imported" for line in client.records.import_file(file))


def _peak_mb() -> float:
    """The peak of this program alone: `ru_maxrss` may still hold that of the process that started it."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = [line for line in status.read_text("utf-8").splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) / _KIB_PER_MB
    import resource

    unit = _KIB_PER_MB**2 if sys.platform == "darwin" else _KIB_PER_MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    print(
        json.dumps(
            _measured(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)
        )
    )
