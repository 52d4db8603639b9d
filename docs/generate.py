"""Write or check the pages of docs/ that are made from code and data.

`python -m docs.generate` writes them; `--check` exits 1 when a committed page is stale.
"""

import argparse
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

from exchange_schemas.agreement import default_file, read_agreements
from exchange_schemas.catalogue import Catalogue, KindSpec, load_catalogue
from exchange_schemas.entry import Act, EntrySchema
from exchange_schemas.payload import members_of

HERE = Path(__file__).parent
MADE = "<!-- Made by `make docs`; do not edit by hand. -->\n\n"


def fields_page() -> str:
    """docs/fields.md from the catalogue."""
    catalogue = load_catalogue()
    lines = [
        "# Fields, messages and codes\n",
        f"Catalogue version {catalogue.version}, from `schemas/exchange_schemas/catalogue.toml`.\n",
        "Class 1 is identifying, 2 protected, 3 location or special category; only ever in ciphertext.\n",
        "## Record fields\n",
        "| # | field | what | type | class | about | bucket (bytes) | purposes | rule |",
        "|---|---|---|---|---|---|---|---|---|",
        *_field_rows(catalogue),
        "\n## Message fields\n",
        "| field | what | type | bucket (bytes) |",
        "|---|---|---|---|",
    ]
    for name, message in catalogue.message_fields.items():
        lines.append(f"| {name} | {message.label} | {_cell(message.describe())} | {message.bucket} |")
    lines += ["\n## Kinds of message\n", "| kind | what | authority | needs | may |", "|---|---|---|---|---|"]
    lines += [_kind_row(kind, catalogue) for kind in catalogue.kinds.values()]
    lines += ["\n## Codes\n", "| list | codes |", "|---|---|"]
    lines += [f"| {name} | {' '.join(codes)} |" for name, codes in catalogue.codes.items()]
    return "\n".join(lines) + "\n"


def _field_rows(catalogue: Catalogue) -> list[str]:
    rows = []
    for name, spec in catalogue.fields.items():
        rules = []
        if spec.per_recipient:
            rules.append("sealed anew for every recipient")
        if spec.one_recipient:
            rules.append("one recipient")
        if spec.stage is not None:
            rules.append(f"only after: {spec.stage}")
        bucket = "PADMÉ" if spec.bucket is None else str(spec.bucket)
        purposes = " ".join(purpose for purpose in catalogue.purposes if purpose in spec.purposes)
        rows.append(
            f"| {spec.number} | {name} | {spec.label} | {_cell(spec.describe())} | {spec.sensitivity} "
            f"| {' '.join(sorted(spec.about))} | {bucket} | {purposes} | {'; '.join(rules)} |"
        )
    return rows


def _kind_row(kind: KindSpec, catalogue: Catalogue) -> str:
    needs = "; ".join(" or ".join(" and ".join(group) for group in need) for need in kind.needs)
    everything = catalogue.fields.keys() <= kind.allowed
    may = "any record field" if everything else " ".join(sorted(kind.may))
    return f"| {kind.name} | {kind.label} | {kind.authority} | {needs} | {may} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def events_page() -> str:
    """docs/audit-events.md from the enum of events and docs/audit-events.toml."""
    described = described_events()
    lines = [
        "# Audit events\n",
        "Every entry is one line of strict JSON. It holds no name and no identifier of a child; "
        "`cns` and `rec` are salted commitments to the consent's family and the envelope.\n",
        "| member | meaning |",
        "|---|---|",
        *(f"| `{name}` | {MEMBERS[name]} |" for name in members_of(EntrySchema)),
        "\n| event | what happened | members besides the common ones |",
        "|---|---|---|",
    ]
    for act in Act:
        event = described[act.value]
        members = " ".join(f"`{name}`" for name in event["members"])
        lines.append(f"| `{act.value}` | {event['what']} | {members} |")
    return "\n".join(lines) + "\n"


def described_events() -> Mapping[str, Mapping[str, object]]:
    """The events as docs/audit-events.toml tells them."""
    return tomllib.loads((HERE / "audit-events.toml").read_text("utf-8"))


MEMBERS = {
    "act": "the event",
    "cns": "commitment to the consent's family",
    "fld": "names of the fields, sorted",
    "id": "random id of the entry",
    "knd": "kind of message",
    "log": "the log's name",
    "opr": "the operator who signed",
    "org": "the agency that acted",
    "out": "allow, deny or error",
    "own": "every party: actor, sender, recipient, issuer; sorted",
    "pol": "the sharing agreements in force, `agreements@3`; for a refusal its rule as well, `C20-policy@3`; "
    "of what a courier carried first the office, `carried:ngo-a/C20-policy@3`",
    "pur": "purpose",
    "rec": "commitment to the envelope",
    "req": "SHA-256 of the caller's DPoP proof, which only the caller could make",
    "rsn": "the error's code, unless allowed",
    "ts": "microseconds since 1970, UTC",
    "v": "version of the entry's form",
}


def agreements_page() -> str:
    """docs/agreements.md from the agreements that ship."""
    catalogue, explained = load_catalogue(), read_agreements(default_file())
    lines = [
        "# The sharing agreements that ship\n",
        "What agencies of one kind may ever send to agencies of another, whatever a consent says (rule "
        "C20-policy). From `schemas/exchange_schemas/agreements.toml`; `exchange-hub init` signs them as "
        "version 1, and operators sign others with `exchange-hub agreement set FILE`. What is in none of "
        "them goes to nobody; auditors get nothing, and nothing goes from embassy to embassy.\n",
    ]
    for item in explained:
        agreement = item.agreement
        never = [name for name in catalogue.fields if name not in agreement.fields]
        lines += [
            f"## To {' and '.join(agreement.rcp)}\n",
            f"{item.why}\n",
            "| | |",
            "|---|---|",
            f"| from | {' '.join(agreement.snd)} |",
            f"| for | {' '.join(agreement.pur)} |",
            f"| fields | {' '.join(name for name in catalogue.fields if name in agreement.fields)} |",
            f"| never | {' '.join(never)} |\n",
        ]
    return "\n".join(lines).rstrip("\n") + "\n"


PAGES: Mapping[str, Callable[[], str]] = {
    "fields.md": fields_page,
    "audit-events.md": events_page,
    "agreements.md": agreements_page,
}


def main() -> int:
    """Write every page, or compare and name the stale ones."""
    parser = argparse.ArgumentParser(prog="python -m docs.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare")
    check = parser.parse_args().check
    stale = []
    for name, make in PAGES.items():
        path, text = HERE / name, MADE + make()
        if not path.exists() or path.read_text("utf-8") != text:
            stale.append(name)
            if not check:
                path.write_text(text, "utf-8")
    if check and stale:
        sys.stderr.write(f"error: stale: {', '.join(f'docs/{name}' for name in stale)}\nhint: make docs\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
