"""`python -m demo [--input FILE]`: tell the whole story and end with `demo: ok`."""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from demo import chapters, reporting
from exchange.sandbox import members
from exchange.sandbox.hub import LocalHub
from exchange.sandbox.programs import INSECURE_KDF, CommandFailed
from exchange.sandbox.witness import LocalWitness
from exchange_schemas.errors import ExchangeError, ImportUnreadable

REPORT = Path("homeward-report.html")
SAMPLE = Path(__file__).with_name("sample.pfif-1.4.xml")


def say(text: str) -> None:
    """Print one line at once."""
    print(text, flush=True)


def tell(path: Path, folder: Path, report: Path, *, insecure: bool) -> None:
    """Every chapter in order. Raises when one does not go as it must."""
    chapters.look_at(path, say)
    hub = LocalHub(folder, origin="demo.homeward.example")
    witness = LocalWitness(folder, hub)
    try:
        say("1. An operator makes a hub on an embedded database; Harbour Aid runs a witness of its logs.")
        hub.create()
        hub.set("HOMEWARD_WITNESS_POLICY", str(witness.start()))
        hub.publish()
        hub.start()
        say("2. Four agencies and an auditor make their keys; the operator admits each by fingerprint.")
        enrolled = members.enrol_all(folder, hub, insecure=insecure)
        for name, member in enrolled.items():
            say(f"   {name:<13} {member.fingerprint}")
        _share(path, folder, enrolled)
        say("12. The witness cosigns what the hub publishes: from here on no past can be rewritten unseen.")
        chapters.witness(hub, say)
        say("13. The auditor pulls the log and verifies it without trusting the hub.")
        chapters.audit(enrolled[members.AUDITOR.id], folder, say)
        say("14. The auditor writes a report for people.")
        chapters.report(enrolled[members.AUDITOR.id], folder, report, say)
    finally:
        hub.stop()
        witness.stop()


def _share(path: Path, folder: Path, enrolled: dict[str, members.Enrolled]) -> None:
    with (
        enrolled[members.RIVER.id].open() as river,
        enrolled[members.COMMISSION.id].open() as commission,
        enrolled[members.EMBASSY.id].open() as embassy,
    ):
        for client in (river, commission, embassy):
            client.sync()
        say(f"3. River Relief imports found children from {path.name}; the commission holds a sought child.")
        record = chapters.import_records(river, path, say)
        sought = {
            "name_given": {"text": "Leila"},
            "sex": "female",
            "birth_date": "2019",
            "case_step": "sought",
        }
        commission.records.add(dict(sought))
        say("4. River Relief prepares one record.")
        record = chapters.prepare(river, record, folder, say)
        say("5. It consents for two recipients, each to its own fields, and sends.")
        granted = chapters.consent_and_send(river, record, say)
        say("6. Each recipient opens its own grant.")
        chapters.open_newest(commission, "the commission", say)
        chapters.open_newest(embassy, "the embassy", say)
        say("7. River Relief tries to send the embassy a field outside the consent.")
        chapters.refuse_outside(river, record, say)
        say("8. The embassy asks for more; River Relief answers field by field.")
        chapters.ask_and_answer(river, embassy, say)
        say("9. The consent for the embassy is withdrawn.")
        chapters.withdraw_and_refuse(river, embassy, record, granted[members.EMBASSY.id], say)
        say("10. What the embassy had opened before is deleted, with a signed receipt.")
        chapters.delete_and_confirm(river, embassy, say)
        say("11. River Relief prints a card for a poster and writes the subject report.")
        reporting.print_and_report(river, record, folder, say)


def main() -> int:
    """Parse, run, and say how it ended."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--input", type=Path, default=SAMPLE, help="PFIF XML or a Primero case list")
    parser.add_argument("--report", type=Path, default=REPORT, help="where the auditor's report goes")
    parser.add_argument("--insecure-kdf", action="store_true", help="INSECURE: test cost for passphrases")
    said = parser.parse_args()
    path, insecure = said.input, said.insecure_kdf
    if insecure:
        os.environ[INSECURE_KDF] = "1"
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="homeward-demo-") as folder:
        try:
            tell(path, Path(folder), said.report, insecure=insecure)
        except chapters.EveryRecordRefused:
            say("demo: failed: every record of this file was refused by a rule, so there is nothing to share")
            return 2
        except ImportUnreadable as error:
            say(f"demo: failed: {error.message}")
            return 1
        except (CommandFailed, ExchangeError) as error:
            say(f"demo: failed: {error}")
            return 1
    say(f"   told in {time.monotonic() - started:.0f} seconds")
    say("demo: ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
