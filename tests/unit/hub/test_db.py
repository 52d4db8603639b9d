"""The database layer apart from a database: file systems, failures, engines."""

import errno
import sqlite3
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from exchange.hub.db import filesystem_of, is_busy, open_engine, refuse_network, storage_errors
from exchange_schemas.errors import AuditUnavailable, ConfigInvalid, Unavailable

MOUNTS = r"""/dev/vda / ext4 rw 0 0
server:/data /srv nfs4 rw 0 0
/dev/vdb /srv/local xfs rw 0 0
me@host: /home/me/my\040disk fuse.sshfs rw 0 0
overlay /var/lib/box fuse.fuse-overlayfs rw 0 0
tmpfs /mnt tmpfs rw 0 0
//server/share /mnt cifs rw 0 0
short line
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", "ext4"),
        ("/srv/hub", "nfs4"),
        ("/srvhub", "ext4"),
        ("/srv/local/hub", "xfs"),
        ("/home/me/my disk/hub", "fuse.sshfs"),
        ("/mnt/hub", "cifs"),
    ],
)
def test_the_nearest_and_last_mount_holds_a_folder(folder: str, kind: str) -> None:
    assert filesystem_of(Path(folder), MOUNTS) == kind


def test_a_folder_without_a_mount_has_no_type() -> None:
    assert filesystem_of(Path("/x"), "") == ""


@pytest.mark.parametrize("folder", ["/srv/hub", "/home/me/my disk", "/mnt/hub"])
def test_a_network_file_system_is_refused(tmp_path: Path, folder: str) -> None:
    table = tmp_path / "mounts"
    table.write_text(MOUNTS)
    with pytest.raises(ConfigInvalid) as caught:
        refuse_network(Path(folder), table)
    assert caught.value.field == "HOMEWARD_DATABASE_URL"


def test_local_file_systems_pass_and_where_nothing_is_listed_nothing_is_said(tmp_path: Path) -> None:
    table = tmp_path / "mounts"
    table.write_text(MOUNTS)
    for folder in ("/", "/srv/local", "/var/lib/box"):
        refuse_network(Path(folder), table)
    refuse_network(Path("/srv/hub"), tmp_path / "no-such-file")


def sqlite_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("x")
    error.sqlite_errorcode = code
    return error


def test_busy_is_what_may_go_away_by_itself() -> None:
    assert is_busy(sqlite_error(sqlite3.SQLITE_BUSY))
    assert is_busy(sqlite_error(sqlite3.SQLITE_BUSY_SNAPSHOT))
    assert not is_busy(sqlite_error(sqlite3.SQLITE_FULL))
    assert is_busy(psycopg.errors.DeadlockDetected())
    assert is_busy(psycopg.errors.LockNotAvailable())
    assert is_busy(psycopg.errors.QueryCanceled())
    assert not is_busy(psycopg.errors.UniqueViolation())
    assert not is_busy(None)


def test_failures_of_the_database_become_answers_without_payload() -> None:
    with pytest.raises(Unavailable), storage_errors():
        raise PoolTimeout("no connection")
    with pytest.raises(Unavailable), storage_errors():
        raise OperationalError("s", {}, sqlite_error(sqlite3.SQLITE_BUSY))
    with pytest.raises(AuditUnavailable), storage_errors():
        raise OperationalError("s", {}, sqlite_error(sqlite3.SQLITE_FULL))
    with pytest.raises(AuditUnavailable), storage_errors():
        raise IntegrityError("s", {}, psycopg.errors.AdminShutdown(), connection_invalidated=True)
    with pytest.raises(IntegrityError), storage_errors():
        raise IntegrityError("s", {}, sqlite3.IntegrityError("unique"))
    with pytest.raises(OSError, match="x"), storage_errors():
        raise OSError(errno.ENOSPC, "x")


def test_an_engine_connects_to_nothing_by_itself() -> None:
    open_engine("postgresql+psycopg://worker@/hub?host=/nowhere").dispose()
    open_engine("sqlite:////tmp/no-such-folder/hub.sqlite").dispose()
