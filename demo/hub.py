"""A real hub for the demo: its own folder, its own process, the operator's own commands."""

import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

START_SECONDS = 60


class CommandFailed(Exception):
    """A program ended with another code than the story expects; the message holds what it said."""


def run(program: str, *arguments: str, expect: int = 0, settings: Mapping[str, str] | None = None) -> str:
    """Run one of the three programs as a person would and give what it printed."""
    path = Path(sys.executable).with_name(program)
    env = environment() | ({} if settings is None else dict(settings))
    done = subprocess.run([str(path), *arguments], capture_output=True, text=True, check=False, env=env)
    if done.returncode != expect:
        raise CommandFailed(
            f"{program} {arguments[0]} ended with {done.returncode}:\n{done.stderr}{done.stdout}"
        )
    return done.stdout


def environment() -> dict[str, str]:
    """The environment without the HOMEWARD_ settings of the person who runs the demo.

    Only the test cost of passphrases stays, which `--insecure-kdf` sets.
    """
    kept = {"HOMEWARD_INSECURE_KDF"}
    return {
        name: value for name, value in os.environ.items() if name in kept or not name.startswith("HOMEWARD_")
    }


class DemoHub:
    """Folder, operator and server process of one hub."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "hub"
        self.port = _free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.operator_key = folder / "operator-noor.key"
        self.operator_secret = self._secret("operator")
        self._hub_secret = self._secret("hub")
        self._process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        """Make the operator's key, then the hub with its database and first governance event."""
        key, secret = str(self.operator_key), str(self.operator_secret)
        run("exchange-hub", "operator", "keygen", "noor", "--out", key, "--passphrase-file", secret)
        run(
            "exchange-hub", "init", "--data-dir", str(self.data), "--origin", "demo.homeward.example",
            "--base-url", self.base_url, "--hub-passphrase-file", str(self._hub_secret),
            "--operator", "noor", "--operator-key", key, "--passphrase-file", secret,
            # A demo on this machine alone needs no TLS; in production the hub refuses this switch.
            settings={"HOMEWARD_ENVIRONMENT": "development", "HOMEWARD_INSECURE_HTTP": "1"},
        )  # fmt: skip

    def start(self) -> None:
        """Serve until `stop`; returns when the hub says that it is ready."""
        program = str(Path(sys.executable).with_name("exchange-hub"))
        with (self.folder / "hub.log").open("wb") as log:
            self._process = subprocess.Popen(
                [program, "serve", "--data-dir", str(self.data), "--port", str(self.port)],
                stdout=log,
                stderr=log,
                env=environment(),
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise CommandFailed("the hub did not start:\n" + (self.folder / "hub.log").read_text("utf-8"))
            time.sleep(0.1)

    def stop(self) -> None:
        """End the server as an operator would."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
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

    def _secret(self, name: str) -> Path:
        return secret_file(self.folder / f"{name}.passphrase")

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(self.base_url + "/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def secret_file(path: Path) -> Path:
    """A new file that only its owner may read, with a random passphrase."""
    path.touch(mode=0o600)
    path.write_text(secrets.token_urlsafe(24) + "\n", "utf-8")
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
