"""Runs the agency's command line inside the test: exit code, standard output, standard error."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from exchange.agency.cli import main


@dataclass(frozen=True)
class Ran:
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as one JSON document."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """Standard output as one JSON document a line."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True)
class CommandLine:
    """`exchange-agency` for one agency's folder and user."""

    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    common: tuple[str, ...] = ()

    def __call__(self, *args: str | Path, ok: bool = True) -> Ran:
        """Run one command; with `ok` it must succeed."""
        self.monkeypatch.setattr(sys, "argv", ["exchange-agency", *self.common, *map(str, args)])
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = self.capsys.readouterr()
        code = 0 if ended.value.code is None else int(str(ended.value.code))
        assert not ok or code == 0, said.err
        assert "Traceback" not in said.err
        return Ran(code, said.out, said.err)

    def of(self, *common: str | Path) -> CommandLine:
        """The same with other common options."""
        return CommandLine(self.capsys, self.monkeypatch, tuple(map(str, common)))


def secret_file(path: Path, secret: bytes) -> Path:
    """A passphrase file that only its owner may read."""
    path.touch(mode=0o600)
    path.write_bytes(secret + b"\n")
    return path
