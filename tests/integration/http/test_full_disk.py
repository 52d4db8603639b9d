"""A disk that is really full under a hub that serves: nothing is answered, it says why, and it heals.

The server runs in a mount namespace of its own, with a small disk in memory where its data lie: no rights are
needed for that on a usual Linux, and the disk goes away with the server.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from exchange.hub.db import open_engine
from exchange_keys.jose import AuthKey
from exchange_schemas.entry import Act, Entry
from tests.integration.http.served import Server, served
from tests.integration.storage.logs import check_log_in
from tests.integration.wire import Reply

pytestmark = [pytest.mark.server, pytest.mark.enable_socket]

PATH = "/v1/outbox"
OWN_MOUNTS = ("unshare", "--user", "--map-root-user", "--mount")
SMALL_DISK = """
cp -a "$1" "$1.before" && mount -t tmpfs -o size=32m,mode=700 none "$1" && cp -a "$1.before/." "$1" || exit
shift
exec "$@"
"""


def filled_up(disk: Path) -> Path:
    """A file that takes all that is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(65_536))
        except OSError:
            return filler


def ready(server: Server) -> tuple[int, str]:
    status, body = server.send("GET", "/readyz", None, {})
    return status, str(json.loads(body).get("rule", ""))


def is_empty_refusal(reply: Reply) -> bool:
    """Whether it is a 503 that bears nothing but the reason."""
    body = json.loads(reply.body)
    known = {"type", "title", "status", "code", "detail", "hint", "request_id", "rule"}
    return reply.status == 503 and body["code"] == "AUDIT_UNAVAILABLE" and set(body) <= known


def test_a_full_disk_gives_no_answer_says_why_and_heals(tmp_path: Path) -> None:
    try:
        subprocess.run([*OWN_MOUNTS, "mount", "-t", "tmpfs", "none", "/mnt"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"this machine lets nobody mount a disk in a namespace of his own: {error}")
    data = tmp_path / "data"
    within = [*OWN_MOUNTS, "sh", "-c", SMALL_DISK, "sh", str(data)]
    with served(tmp_path, [AuthKey.generate("ES256")], within=within) as server:
        # The same folder as the server sees it.
        disk = Path(f"/proc/{server.pid}/root") / data.relative_to("/")
        token = server.token()
        assert ready(server) == (200, "")
        answered = [server.get(PATH, token).status for _ in range(3)]
        filler = filled_up(disk)
        # What the write-ahead log has room for goes on; then nothing does.
        while (reply := server.get(PATH, token)).status == 200:
            answered.append(200)
        assert is_empty_refusal(reply)
        assert is_empty_refusal(server.get(PATH, token))
        refused = server.ask_token()
        assert (refused.status, json.loads(refused.body)) == (503, {"error": "temporarily_unavailable"})
        assert ready(server) == (503, "S9-writable")
        filler.unlink()
        assert ready(server) == (200, "")
        answered += [server.get(PATH, token).status for _ in range(3)]
        assert set(answered) == {200}
        # Nobody writes now. SQLite itself would follow the path to the disk that the test sees.
        copy = Path(shutil.copytree(disk, tmp_path / "copy"))
    engine = open_engine(f"sqlite:///{copy}/hub.sqlite")
    entries = [Entry.from_bytes(entry) for entry in check_log_in(engine).entries]
    engine.dispose()
    acts = [(entry.act, entry.out) for entry in entries]
    assert acts == [(Act.TOKEN_ISSUE, "allow")] + [(Act.OUTBOX_LIST, "allow")] * len(answered)
