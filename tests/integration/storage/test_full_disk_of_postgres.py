"""PostgreSQL whose disk is really full: no answer, nothing half done, and it goes on when there is room.

Only the tables lie on the small disk. Without room for its WAL PostgreSQL ends, as a killed one does.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine import make_url

from exchange.hub.services.hub import Hub
from exchange.hub.services.release import Caller
from exchange_schemas.errors import AuditUnavailable
from tests.integration.storage import only
from tests.integration.storage.logs import check_log
from tests.integration.storage.test_faults import answer, ready

pytestmark = only.POSTGRES


@pytest.fixture
def small_disk(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A disk of 40 MB in memory that is the tablespace `small`; the test's own database is dropped before."""
    server: Any = request.getfixturevalue("postgres_server")
    with server.admin.connect() as conn:
        owner = Path(conn.exec_driver_sql("SHOW data_directory").scalar_one()).stat().st_uid
    folder = Path(tempfile.mkdtemp(prefix="hw-disk-", dir="/tmp"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size=40m,mode=700,uid={owner}", "none", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        folder.rmdir()
        pytest.skip(f"only who may mount a disk can give PostgreSQL a small one: {error}")
    try:
        server.execute(f"CREATE TABLESPACE small LOCATION '{folder}'")
        yield folder
        server.execute("DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        shutil.rmtree(folder)


def fill(disk: Path) -> Path:
    """A file that takes all that is left."""
    room = os.statvfs(disk)
    filler = disk / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize)
    return filler


def test_a_full_disk_gives_no_answer_and_leaves_nothing_half_done(
    small_disk: Path, hub: Hub, new_caller: Callable[..., Caller], request: pytest.FixtureRequest
) -> None:
    server: Any = request.getfixturevalue("postgres_server")
    server.execute(f"ALTER DATABASE {make_url(hub.settings.database_url).database} SET TABLESPACE small")
    answered = [answer(hub, new_caller)]
    filler = fill(small_disk)

    def use_up() -> None:
        # Pages that have room take some more.
        for _ in range(500):
            answered.append(answer(hub, new_caller))

    with pytest.raises(AuditUnavailable) as refused:
        use_up()
    assert isinstance(refused.value.__cause__, psycopg.errors.DiskFull)
    with pytest.raises(AuditUnavailable):
        answer(hub, new_caller)
    assert check_log(hub).ids == answered
    assert ready(hub) == "S9-writable"
    filler.unlink()
    assert ready(hub) is None
    answered.append(answer(hub, new_caller))
    assert check_log(hub).ids == answered
