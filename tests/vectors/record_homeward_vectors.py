"""Records the project's own vectors: `python -m tests.vectors.record_homeward_vectors` writes them all anew.

HPKE, Cobblestone and ML-DSA draw their own randomness, so these are recorded outputs: opening them is exact,
sealing is tested by round trip and by the second implementation. Every secret is SHA-256 of a label that
stands in the file; no key does. Record again only with a new version of the protocol, or to add cases.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.vectors.recording.attachments import attachment_file
from tests.vectors.recording.basics import codec_file, keys_file
from tests.vectors.recording.decisions import decision_file
from tests.vectors.recording.deposits import deposit_file
from tests.vectors.recording.directory import directory_file
from tests.vectors.recording.envelopes import envelope_file
from tests.vectors.recording.grants import grant_file
from tests.vectors.recording.objects import object_file
from tests.vectors.recording.pages import page_file
from tests.vectors.recording.payloads import payload_file
from tests.vectors.recording.receipts import receipt_file
from tests.vectors.recording.signed import signed_file
from tests.vectors.recording.values import value_file
from tests.vectors.recording.world import pin_of, story

FOLDER = Path(__file__).resolve().parents[2] / "schemas" / "vectors"
ABOUT = (
    "Homeward wire protocol v1 (docs/protocol.md). A secret is SHA-256 of 'homeward vector ' and its label."
)


def record() -> Mapping[str, dict[str, Any]]:
    """All vectors, by the name of their file."""
    world = story()
    directory = directory_file(world, pin_of(world))
    return {
        "codec": codec_file(),
        "keys": keys_file(),
        "signed": signed_file(),
        "payloads": payload_file(),
        "values": value_file(),
        "grants": grant_file(),
        "decisions": decision_file(),
        "directory": directory,
        "pages": page_file(world, pin_of(world)),
        "attachments": attachment_file(),
        "receipts": receipt_file(),
        "objects": object_file(world, directory["roots"]),
        "envelopes": envelope_file(world, directory["roots"]),
        "deposits": deposit_file(directory["roots"]),
    }


def text_of(file: Mapping[str, Any]) -> str:
    """One case a line, so that a change shows what changed."""
    lines = []
    for name, value in {"about": ABOUT, **file}.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            items = ",\n".join(json.dumps(item, separators=(",", ":")) for item in value)
            lines.append(f"{json.dumps(name)}: [\n{items}\n]")
        else:
            lines.append(f"{json.dumps(name)}: {json.dumps(value, separators=(',', ':'))}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, file in record().items():
        (FOLDER / f"{name}.json").write_text(text_of(file))
