"""Texts that are shown in the reader's language and stand in data, not in a call: for docs/words.py."""

from collections.abc import Iterator

from exchange.auditor.report.charts import GOOD_TO_BAD
from exchange.auditor.report.content import OTHERS, WEEKDAYS
from exchange.auditor.report.document import document
from exchange.auditor.report.figures import Figures, Office
from exchange.auditor.report.matching import BINS, LAST_BIN
from exchange.auditor.verdict import Fault
from exchange.consent.refusals import RULES
from exchange.hub.api.problem import problems
from exchange.member.problems import HINTS
from exchange.member.rotation import Step
from exchange.words.failures import summary
from exchange_schemas.catalogue import Catalogue, load_catalogue
from exchange_schemas.errors import error_codes, error_for
from exchange_schemas.value_types import PLAIN, ListType, ObjectType, ValueType

CODE, MEMBER, FIGURE, FAULT, FACT = "code", "member", "figure", "fault", "fact"
STATES = ("active", "withdrawn", "superseded", "expired", "allow", "deny", "cleared", "not required")
WORK = (
    "caseworker",
    "approver",
    "added",
    "changed",
    "unchanged",
    "refused",
    "imported",
    "updated",
    "edited",
    "imported again",
    "photographed",
)
COUNTED = (
    "new pair",
    "registered",
    "withdrawn",
    "refused: expired",
    "refused: withdrawn",
    "refused: superseded",
    "operators",
    "not said",
)
KEY_STATES = (
    "current",
    "next",
    "retired",
    "changing",
    "before",
    "draining",
    "revoked",
    "ready",
    "suspended",
    "expelled",
)
ACTS = (
    *("admit", "suspend", "resume", "expel", "governance", "agreements", "accredit", "erase"),
    *("hub-key begin", "hub-key finish", "hub-key rotate"),
    *("the entries about all", "a consent family", "an envelope"),
)
HUB_FACTS = (
    *("agency", "name", "kind", "country", "public authority", "contact", "status", "since", "fingerprint"),
    *("keys", "origin", "base url", "environment", "database", "operators", "directory events"),
    *(
        "audit entries",
        "lagging",
        "public",
        "data dir",
        "guard dir",
        "pin",
        "operator",
        "made",
        "kid",
        "key file",
    ),
    *("public file", "event", "signatures needed", "operator keys", "version", "agreements", "reason"),
    *("signed at", "key", "replaces", "auditor", "may read", "forget", "id"),
    *("sealed keys", "parts", "unused uploads", "proofs", "revoked tokens", "pulls", "rate leases"),
    *("blobs", "cut short"),
)
STATE = "state"
LIFE = (
    *("active", "withdrawn", "superseded", "expired", "suspended", "expelled", "draining", "revoked"),
    *("waiting", "fetched", "receipted", "dead", "opened", "refused", "allow", "deny", "error"),
    *("due", "asked", "answered", "declined", "owed", "held", "done", "open", "overdue"),
    *("allowed", "ended", "none", "entered", "lost"),
    *(str(step) for step in Step),
)
FACTS = ("records", "consents", "messages", "receipts", "agency", "file", "fingerprint", "root", "signed")
CLICK = (
    "Usage:",
    "Options",
    "Commands",
    "Show this message and exit.",
    "Show the version and exit.",
    "default: {default}",
    "required",
    "Missing option",
    "Missing argument",
    "Missing command.",
    "No such option {name!r}.",
    "No such command {name!r}.",
    "Invalid value: {message}",
    "Invalid value for {param_hint}: {message}",
    "Option {name!r} does not take a value.",
    "{value!r} is not a valid {number_type}.",
    "{value} is not in the range {range}.",
    "{name} {filename!r} does not exist.",
    "{name} {filename!r} is a directory.",
    "{name} {filename!r} is a file.",
    "{name} {filename!r} is not readable.",
    "{name} {filename!r} is not writable.",
    "Choose from:\n\t{choices}",
    "Missing parameter: {param_name}",
    "Missing {param_type}",
    "Argument {name!r} takes {nargs} values.",
    "Could not open file {filename!r}: {message}",
    "file",
    "directory",
    "path",
)
CLICK_COUNTED = (
    ("Got unexpected extra argument ({args})", "Got unexpected extra arguments ({args})"),
    ("Option {name!r} requires an argument.", "Option {name!r} requires {nargs} arguments."),
    ("Did you mean {possibility}?", "(Did you mean one of: {possibilities}?)"),
    ("{value!r} is not {choice}.", "{value!r} is not one of {choices}."),
)
"""What Click says by a number: the form for one, and for many."""


def beside_the_source() -> Iterator[tuple[str, str]]:
    """(context, text) pairs."""
    catalogue = load_catalogue()
    yield from _of_catalogue(catalogue)
    for text in (*STATES, *WORK, *sorted(catalogue.subjects)):
        yield CODE, text
    for code in error_codes():
        yield "", summary(error_for(code))
    for _, reason, remedy in RULES.values():
        yield "", reason
        yield "", remedy
    for text in (*HINTS.values(), *PLAIN.values(), *CLICK):
        yield "", text
    for text in (*KEY_STATES, *ACTS):
        yield CODE, text
    for problem in problems().values():
        yield from (("", text) for text in (problem.title, problem.happened, problem.todo))
    for text in LIFE:
        yield STATE, text
    for text in (*FACTS, *HUB_FACTS):
        yield FACT, text
    for fault in Fault:
        yield FAULT, fault.value
    yield from _of_audit_report()


def _of_catalogue(catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    for spec in (*catalogue.fields.values(), *catalogue.message_fields.values()):
        yield "", spec.label
        for member in _members(spec.type):
            yield MEMBER, member.replace("_", " ")
    for kind in catalogue.kinds.values():
        yield "", kind.label
    for label in (*catalogue.purpose_labels.values(), *catalogue.basis_labels.values()):
        yield "", label
    for name, codes in catalogue.codes.items():
        if name != "photo_media_type":
            yield from ((CODE, code.replace("_", " ")) for code in codes)


def _members(kind: ValueType) -> Iterator[str]:
    if isinstance(kind, ListType):
        yield from _members(kind.item)
    elif isinstance(kind, ObjectType):
        for one in kind.members:
            yield one.name
            yield from _members(one.type)


def _of_audit_report() -> Iterator[tuple[str, str]]:
    empty = document(Figures(Office()))
    for name, _ in empty.summary:
        yield FIGURE, name
    for figure in empty.figures:
        yield "", figure.title
        if "{" not in figure.text and figure.key not in ("hours", "off_hours"):
            yield "", figure.text
        for column in figure.columns:
            yield FIGURE, column
    for text in ("day", "week", "month", OTHERS, LAST_BIN, *WEEKDAYS, *(name for name, _ in BINS)):
        yield FIGURE, text
    for text in (*GOOD_TO_BAD, *COUNTED):
        yield FIGURE, text
