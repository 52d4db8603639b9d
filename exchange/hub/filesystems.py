"""Which file system a folder lies on: an embedded database on a network loses commits without a word.

It must never guess: where a system does not tell, nothing is said.
"""

from pathlib import Path
from typing import Final

from exchange_schemas.errors import ConfigInvalid

# WAL needs shared memory and working locks; over a network both fail without a word and lose commits.
_NETWORK: Final = frozenset(
    (
        *("nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "smbnetfs", "ncpfs", "afp", "afs"),
        *("coda", "9p", "ceph", "ceph-fuse", "lustre", "gpfs", "beegfs", "glusterfs", "moosefs"),
        *("ocfs2", "gfs2", "juicefs", "davfs", "sshfs", "curlftpfs", "rclone", "s3fs", "mount-s3"),
        *("goofys", "gcsfuse", "gvfsd-fuse"),
    )
)


def refuse_network(folder: Path, mounts: Path) -> None:
    """Refuse a folder on a network file system, as listed in `mounts` (Linux `/proc/mounts`).

    Raises: ConfigInvalid. Where there is no such list (other systems) nothing can be said.
    """
    if not mounts.exists():
        return
    kind = filesystem_of(folder.resolve(), mounts.read_text(encoding="utf-8", errors="replace"))
    if kind.removeprefix("fuse.") in _NETWORK:
        raise ConfigInvalid(
            f"HOMEWARD_DATABASE_URL lies on a network file system ({kind}), where SQLite loses commits",
            field="HOMEWARD_DATABASE_URL",
            hint="use a local disk, or PostgreSQL",
        )


def filesystem_of(folder: Path, mounts: str) -> str:
    """The type of the file system that holds `folder`, from the text of `/proc/mounts`; "" if unlisted."""
    best, kind = -1, ""
    for line in mounts.splitlines():
        columns = line.split(" ")
        if len(columns) < 3:
            continue
        point = Path(columns[1].replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\"))
        # The last mount on a point hides the earlier ones.
        if folder.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), columns[2]
    return kind
