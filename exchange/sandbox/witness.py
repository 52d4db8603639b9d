"""A real witness on this machine, run by one of the invented agencies: its own folder, its own process.

For development only: in life a witness runs where the hub's operator cannot reach, behind TLS.
"""

import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

from exchange.sandbox.hub import START_SECONDS, LocalHub
from exchange.sandbox.programs import CommandFailed, environment, program, run, secret_file

NAME: Final = "witness.harbour-aid.example/w1"


class LocalWitness:
    """Folder and process of one witness of a hub's two logs."""

    def __init__(self, folder: Path, hub: LocalHub) -> None:
        self.folder = folder / "witness"
        self._secret = folder / "witness.passphrase"
        self._hub = hub
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Path:
        """Make it, serve it, and give the policy file that names it alone. Raises: CommandFailed."""
        pins = self._pins()
        logs = [f"{pins['audit_vkey']}", f"{pins['directory_vkey']}"]
        secret = str(secret_file(self._secret))
        words = [word for log in logs for word in ("--log", log)]
        made = run(
            "exchange-audit", "witness", "init", str(self.folder), "--name", NAME, *words,
            "--passphrase-file", secret, "--json",
        )  # fmt: skip
        url = self._serve(secret)
        policy = self.folder.with_suffix(".policy")
        lines = [*(f"log {log}" for log in logs), f"witness harbour {json.loads(made)['vkey']} {url}"]
        policy.write_text("\n".join([*lines, "quorum harbour", ""]), "utf-8")
        return policy

    def stop(self) -> None:
        """End it; what it remembers stays in its folder."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(10)

    def _pins(self) -> dict[str, object]:
        """What the operator hands over before there is a witness; it is no member's file."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "pins.json"
            run("exchange-hub", "deployment", "export", str(file), "--data-dir", str(self._hub.data))
            pins: dict[str, object] = json.loads(file.read_bytes())
        return pins

    def _serve(self, secret: str) -> str:
        """Its address, once it listens."""
        command = [str(program("exchange-audit")), "witness", "serve", str(self.folder), "--port", "0"]
        command += ["--passphrase-file", secret, "--json"]
        said = self.folder.with_suffix(".log")
        with said.open("wb") as log:
            self._process = subprocess.Popen(command, env=environment(), stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while b"\n" not in said.read_bytes():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise CommandFailed("the witness did not start:\n" + said.read_text("utf-8"))
            time.sleep(0.05)
        return f"{json.loads(said.read_bytes().splitlines()[0])['url']}"
