"""The chapters of the demo once everybody is enrolled: import, consent, send, open, refuse, audit."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from demo import picture
from exchange.agency import Client, Record
from exchange.agency.deletions import outcome_words
from exchange.agency.imports.model import Imported, Refused
from exchange.agency.imports.source import read_source
from exchange.sandbox.hub import LocalHub
from exchange.sandbox.members import COMMISSION, EMBASSY, Enrolled
from exchange.sandbox.programs import CommandFailed, run
from exchange.sandbox.sharing import FOR, consent, decide
from exchange_schemas.errors import ConsentWithdrawn, ExchangeError, FieldDenied, NotPermitted

Say = Callable[[str], None]

# What the embassy asks for later: two in its consent, one kept back, one outside.
ASKED = ("sex", "age_range", "current_area", "guardian_status")


class EveryRecordRefused(Exception):
    """The input held no record that the rules let in."""


def look_at(path: Path, say: Say) -> None:
    """Read the file once before anything is built: a file that can share nothing fails at once.

    Raises: ImportUnreadable; EveryRecordRefused after each refusal was shown.
    """
    refused: list[Refused] = []
    for result in read_source(path, now=datetime.now(UTC)):
        if isinstance(result, Imported):
            return
        refused.append(result)
    for one in refused:
        say(f"   record {one.position}: refused, {one.field}: {one.reason} [{one.rule}]")
    raise EveryRecordRefused


def import_records(client: Client, path: Path, say: Say) -> Record:
    """Import the file, show what was refused, and choose one record that can be prepared for sending."""
    kept, refused = 0, 0
    for line in client.records.import_file(path):
        if line.outcome == "refused":
            refused += 1
            say(f"   record {line.position}: refused, {line.field}: {line.reason} [{line.rule}]")
        else:
            kept += 1
    say(f"   {kept} imported, {refused} refused by a rule; values are never printed")
    if kept == 0:
        raise EveryRecordRefused
    ready = [record for record in client.records.each() if "name_given" in record.fields]
    open_ones = [record for record in ready if client.records.sendable(record).rule is None]
    waiting = [record for record in ready if client.records.sendable(record).rule in ("S03-age", "S04-basis")]
    able = [record for record in open_ones if "trace" in client.records.sendable(record).purposes]
    chosen = [*able, *waiting]
    if not chosen:
        raise EveryRecordRefused
    return chosen[0]


def prepare(client: Client, record: Record, folder: Path, say: Say) -> Record:
    """What a caseworker does by hand: enter what is missing, attach a photo, record the decision."""
    missing: dict[str, object] = {}
    if "current_area" not in record.fields:
        missing["current_area"] = {"country": "IQ", "area": "North region"}
    if "age_range" not in record.fields:
        missing["age_range"] = {"min": 6, "max": 9, "as_of": datetime.now(UTC).date().isoformat()}
    if "sex" not in record.fields:
        missing["sex"] = "unknown"
    if missing:
        record = client.records.edit(record.ref, missing)  # type: ignore[arg-type]  # plain JSON values
        say(f"   the caseworker enters what a found notice needs: {', '.join(sorted(missing))}")
    photo = folder / "drawn.jpg"
    picture.draw(photo)
    record = client.records.attach_photo(record.ref, photo)
    jpeg = client.records.photo(record.ref)
    planted = jpeg is not None and picture.PLANTED.encode() in jpeg
    say(f"   a (drawn) photo is attached; the place planted in it survives: {'YES' if planted else 'no'}")
    if planted:
        raise CommandFailed("the photo kept its metadata")
    if client.records.sendable(record).rule is not None:
        say(f"   nothing may be sent as it stands: {client.records.sendable(record).reason}")
    record = decide(client, record)
    say("   a best-interests decision for sharing is recorded")
    return record


def consent_and_send(client: Client, record: Record, say: Say) -> dict[str, str]:
    """Two consents with different fields for two recipients, one sealed envelope. Gives the consent ids."""
    granted = {}
    for to in (COMMISSION.id, EMBASSY.id):
        granted[to], names = consent(client, record, to)
        say(f"   consent for {to}: {', '.join(names)}")
    sent = client.send("found_notice", to=(COMMISSION.id, EMBASSY.id), record=record.ref, purpose="trace")
    say(f"   one envelope, sealed for {len(sent.grants)} recipients; the hub holds ciphertext only")
    return granted


def open_newest(client: Client, member: str, say: Say) -> None:
    """Open what waits: every signature, digest, consent and field is verified first."""
    client.sync()
    for item in client.inbox(waiting_only=True):
        message = client.open_grant(item.gid)
        photo = "" if message.photo is None else f" and a photo of {message.photo.bytes:,} bytes"
        say(f"   {member} opened and verified it, and sees: {', '.join(sorted(message.fields))}{photo}")


def refuse_outside(client: Client, record: Record, say: Say) -> None:
    """Ask to send a field that the consent does not hold: the sender's own program refuses."""
    try:
        client.send(
            "found_notice",
            to=(EMBASSY.id,),
            record=record.ref,
            purpose="trace",
            fields=(*FOR[EMBASSY.id], "photo"),
        )
    except (FieldDenied, NotPermitted) as error:
        say(f"   refused: {error.message} ({error.code})")
        return
    raise CommandFailed("a field outside the consent was sent")


def ask_and_answer(holder: Client, embassy: Client, say: Say) -> None:
    """The embassy asks for four fields; each is given under the consent, or refused with a code."""
    notice = next(message for message in embassy.messages() if message.kind == "found_notice")
    embassy.send(
        "information_request",
        to=(notice.sender,),
        content={"asked_fields": list(ASKED), "need_code": "identify"},
        in_reply_to=notice.gid,
        reply_by=datetime.now(UTC) + timedelta(days=7),
    )
    say(f"   the embassy asks for {', '.join(ASKED)}; an answer is due in a week")
    (item,) = holder.inbox(waiting_only=True)
    holder.requests.answer(holder.open_grant(item.gid).gid, refuse={"current_area": "safety"})
    (answer,) = embassy.inbox(waiting_only=True)
    embassy.open_grant(answer.gid)
    (request,) = embassy.requests.each()
    refused = ", ".join(f"{name} ({code})" for name, code in request.refused.items())
    say(f"   given: {', '.join(request.given)}; refused: {refused}")
    if request.silent or request.given != ("sex", "age_range"):
        raise CommandFailed("the answer was not complete")


def withdraw_and_refuse(holder: Client, embassy: Client, record: Record, cid: str, say: Say) -> None:
    """Send once more, withdraw before the embassy looks, and let it try."""
    holder.send("found_notice", to=(EMBASSY.id,), record=record.ref, purpose="trace")
    (result,) = holder.withdraw(cid)
    say(f"   withdrawn: {result.undelivered} undelivered stopped, {result.delivered} delivered before")
    refused = 0
    for item in embassy.inbox():
        if item.state not in ("waiting", "dead") or item.kind != "found_notice":
            continue
        try:
            embassy.open_grant(item.gid)
        except ConsentWithdrawn as error:
            refused += 1
            say(f"   the embassy's next fetch: refused ({error.code}), with the signed withdrawal")
        except ExchangeError as error:
            raise CommandFailed(f"another refusal than expected: {error.code}") from error
        else:
            raise CommandFailed("a withdrawn grant was opened")
    if refused == 0:
        raise CommandFailed("the withdrawn grant was not shown")


def delete_and_confirm(holder: Client, embassy: Client, say: Say) -> None:
    """What the embassy had opened before is deleted from its store, and the holder gets a signed receipt."""
    for alarm in embassy.sync().alarms:
        say(f"   the embassy is told: {alarm}")
    for item in embassy.inbox(waiting_only=True):
        request = embassy.open_grant(item.gid)
        done = embassy.deletions.answer(request.gid)
        say(f"   the embassy answers the {request.kind.replace('_', ' ')}: {outcome_words(done.outcome)}")
    if any(message.kind == "found_notice" for message in embassy.messages()):
        raise CommandFailed("a withdrawn message is still there")
    for item in holder.inbox(waiting_only=True):
        holder.open_grant(item.gid)
    for asked in holder.deletions.asked():
        say(f"   signed receipt of {asked.recipient}: {outcome_words(asked.outcome)}")
    if list(holder.deletions.asked(unanswered=True)):
        raise CommandFailed("a request for a deletion was not answered")


def witness(hub: LocalHub, say: Say) -> None:
    """Have both logs cosigned as they are now."""
    found = hub.publish()
    for log in found["logs"]:  # type: ignore[attr-defined]  # plain JSON
        say(f"   the {log['log']} log is witnessed up to entry {log['size']}")
        if not log["witnessed"]:
            raise CommandFailed("the witness did not cosign")


def audit(auditor: Enrolled, folder: Path, say: Say) -> None:
    """Pull the log with the auditor's program, verify it, change one byte, verify again, mend it."""
    pulled, common = folder / "pulled-log", _as(auditor)
    run("exchange-audit", "pull", str(pulled), *common)
    verify = ("exchange-audit", "verify", str(pulled), "--home", str(auditor.home), "--json")
    verdict = json.loads(run(*verify))
    say(f"   {verdict['size']} entries; integrity: {verdict['integrity']}, complete: {verdict['complete']}")
    say(f"   a quorum of the witnesses vouches for {verdict['witnessed']['size']} of them")
    bundle = next(path for path in sorted((pulled / "tile" / "entries").rglob("*")) if path.is_file())
    content = bundle.read_bytes()
    at = content.index(b'"out":"deny"') + len(b'"out":"')
    bundle.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    say("   one byte of the pulled copy is changed, in an entry that records a refusal")
    verdict = json.loads(run(*verify, expect=2))
    named = [finding for finding in verdict["findings"] if finding["index"] is not None]
    if not named:
        raise CommandFailed("the verification did not name the changed entry")
    say(f"   verification fails and names it: {named[0]['text']}")
    bundle.write_bytes(content)


def report(auditor: Enrolled, folder: Path, page: Path, say: Say) -> None:
    """One page of plots over the log that verified."""
    pulled = str(folder / "pulled-log")
    run("exchange-audit", "report", pulled, "--out", str(page), "--replace", "--home", str(auditor.home))
    say(f"   written: {page} ({page.stat().st_size // 1024} KiB, opens in any browser without a network)")


def _as(auditor: Enrolled) -> tuple[str, ...]:
    return ("--home", str(auditor.home), "--passphrase-file", str(auditor.passphrase_file))
