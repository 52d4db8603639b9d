"""A real hub on this machine: its own folder, its own process, the operator's own commands.

For development only: it serves plain HTTP on the loopback address, which a hub in production refuses.
"""

import json
import socket
import subprocess
import time
from pathlib import Path
from typing import Final

import requests

from exchange.sandbox.programs import CommandFailed, environment, program, run, secret_file

START_SECONDS: Final = 60
# `serve` says that it stops within 15.
STOP_SECONDS: Final = 20
OPERATOR: Final = "noor"
# On this machine alone no TLS is needed; in production the hub refuses this switch.
# An integrator's tests ask faster than any agency: the limits are counted and said, and far away.
_SETTINGS: Final = {
    "HOMEWARD_ENVIRONMENT": "development",
    "HOMEWARD_INSECURE_HTTP": "1",
    "HOMEWARD_RATE_AGENCY": "100000",
    "HOMEWARD_RATE_ADDRESS": "100000",
    "HOMEWARD_RATE_FAILURES": "100000",
}


class LocalHub:
    """Folder, operator and server process of one hub."""

    def __init__(self, folder: Path, *, origin: str, port: int | None = None) -> None:
        self.folder = folder
        self.origin = origin
        self.data = folder / "hub"
        self.port = _free_port() if port is None else port
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.operator_key = folder / f"operator-{OPERATOR}.key"
        self.operator_secret = folder / "operator.passphrase"
        self._process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        """Make the operator's key, then the hub with its database and first governance event."""
        key, secret = str(self.operator_key), str(secret_file(self.operator_secret))
        hub_secret = str(secret_file(self.folder / "hub.passphrase"))
        run("exchange-hub", "operator", "keygen", OPERATOR, "--out", key, "--passphrase-file", secret)
        run(
            "exchange-hub", "init", "--data-dir", str(self.data), "--origin", self.origin,
            "--base-url", self.base_url, "--hub-passphrase-file", hub_secret,
            "--operator", OPERATOR, "--operator-key", key, "--passphrase-file", secret,
            settings=_SETTINGS,
        )  # fmt: skip

    def set(self, name: str, value: str) -> None:
        """Add one setting for the next start, as an operator edits hub.env."""
        with (self.data / "hub.env").open("a", encoding="utf-8") as file:
            file.write(f"{name}={value}\n")

    def publish(self) -> dict[str, object]:
        """One round with the witnesses, now; what came of it. Raises: CommandFailed without a quorum."""
        said = run("exchange-hub", "audit", "publish", "--data-dir", str(self.data), "--json")
        found: dict[str, object] = json.loads(said)
        return found

    def start(self) -> None:
        """Serve until `stop`; returns when the hub says that it is ready. Raises: CommandFailed."""
        command = [str(program("exchange-hub")), "serve", "--data-dir", str(self.data), "--port"]
        with (self.folder / "hub.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, str(self.port)], stdout=log, stderr=log, env=environment()
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise CommandFailed("the hub did not start:\n" + (self.folder / "hub.log").read_text("utf-8"))
            time.sleep(0.1)

    def wait(self) -> int:
        """Until the server ends; its exit code."""
        return 0 if self._process is None else self._process.wait()

    def stop(self) -> None:
        """End the server as an operator would."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()

    def deployment(self) -> Path:
        """The file that agencies pin, handed over out of band."""
        path = self.folder / "deployment.json"
        if not path.exists():
            run("exchange-hub", "deployment", "export", str(path), "--data-dir", str(self.data))
        return path

    def admit(self, bundle: Path, fingerprint: str) -> None:
        """The operator's one command, with the fingerprint that the agency read out."""
        run(
            "exchange-hub", "agency", "admit", str(bundle), "--data-dir", str(self.data),
            "--operator-key", str(self.operator_key), "--passphrase-file", str(self.operator_secret),
            "--fingerprint", fingerprint,
        )  # fmt: skip

    def _ready(self) -> bool:
        try:
            return requests.get(self.base_url + "/readyz", timeout=2).status_code == 200
        except requests.RequestException:
            return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
