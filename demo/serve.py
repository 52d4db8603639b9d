"""`make serve`: a hub for development in ./var, made at the first call; stop it with Ctrl-C."""

import os
import subprocess
import sys
from pathlib import Path

from demo.hub import run, secret_file

FOLDER = Path("var")
PORT = "8000"


def main() -> int:
    """Make the hub if it is not there, then serve it until it is stopped."""
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    data = FOLDER / "hub"
    operator, key = FOLDER / "operator.passphrase", FOLDER / "operator.key"
    if not (data / "hub.env").exists():
        for path in (operator, FOLDER / "hub.passphrase"):
            secret_file(path)
        run(
            "exchange-hub", "operator", "keygen", "dev", "--out", str(key), "--passphrase-file", str(operator)
        )
        run(
            "exchange-hub", "init", "--data-dir", str(data), "--origin", "dev.homeward.example",
            "--base-url", f"http://127.0.0.1:{PORT}", "--hub-passphrase-file", str(FOLDER / "hub.passphrase"),
            "--operator", "dev", "--operator-key", str(key), "--passphrase-file", str(operator),
            settings={"HOMEWARD_ENVIRONMENT": "development", "HOMEWARD_INSECURE_HTTP": "1"},
        )  # fmt: skip
        run("exchange-hub", "deployment", "export", str(FOLDER / "homeward.json"), "--data-dir", str(data))
    print(
        f"operator key: {key}, passphrase in {operator}; agencies pin {FOLDER / 'homeward.json'}", flush=True
    )
    program = str(Path(sys.executable).with_name("exchange-hub"))
    os.environ.pop("HOMEWARD_HOME", None)
    return subprocess.call([program, "serve", "--data-dir", str(data), "--port", PORT])


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(0)
