"""Runs `exchange-audit` inside the test."""

import json
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from exchange.auditor.cli import main


@dataclass(frozen=True)
class CommandLine:
    """`exchange-audit` inside the test."""

    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    def run(self, *words: object) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        self.monkeypatch.setattr(sys, "argv", ["exchange-audit", *map(str, words)])
        self.monkeypatch.delenv("HOMEWARD_HOME", raising=False)
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = self.capsys.readouterr()
        return int(ended.value.code or 0), out, err

    def json(self, *words: object) -> tuple[int, Any]:
        """Exit code and the JSON document."""
        code, out, _ = self.run(*words, "--json")
        return code, json.loads(out)
