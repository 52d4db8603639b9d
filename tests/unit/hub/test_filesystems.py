"""Which file system holds a folder, and which of them are refused."""

from pathlib import Path

import pytest

from exchange.hub.filesystems import filesystem_of, refuse_network
from exchange_schemas.errors import ConfigInvalid

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
