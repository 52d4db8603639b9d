"""A report's content: every figure as a titled table, the same for the page and for JSON. Pure.

A page is drawn from this and from nothing else: whoever distrusts a plot finds its numbers in the JSON.
"""

from collections.abc import Iterator

from exchange.auditor.report import agencies
from exchange.auditor.report.content import Document, Figure, moment
from exchange.auditor.report.figures import Figures
from exchange.auditor.report.foremost import notices, summary, vital_interest
from exchange.auditor.report.periods import Calendar


def document(figures: Figures) -> Document:
    """The report of what was counted."""
    calendar, zone = Calendar.of(figures), figures.office.zone
    # What must be looked at stands first; where there is nothing it says so at the end.
    vital = (vital_interest(figures),)
    first, last = (vital, ()) if figures.vital_by else ((), vital)
    return Document(
        unit=calendar.unit,
        zone=zone,
        first=None if figures.first is None else moment(figures.first, zone),
        last=None if figures.first is None else moment(figures.last, zone),
        summary=summary(figures),
        notices=tuple(notices(figures)),
        figures=(
            *first,
            *_given(figures, calendar),
            *_refused(figures, calendar),
            *_habits(figures, calendar),
            *_grounds(figures, calendar),
            *_answers(figures),
            *_deletions(figures),
            *([] if figures.name_of is None else [agencies.by_consent(figures)]),
            *last,
        ),
    )


def _given(figures: Figures, calendar: Calendar) -> Iterator[Figure]:
    yield calendar.stack(
        "accesses_by_agency",
        "Who was given records",
        "Grants and attachments handed out, by the agency that received them.",
        figures.by_agency,
    )
    yield calendar.stack(
        "accesses_by_purpose",
        "What they were given for",
        "The same, by the purpose that the consent names.",
        figures.by_purpose,
    )


def _refused(figures: Figures, calendar: Calendar) -> Iterator[Figure]:
    yield calendar.stack(
        "denials",
        "What was refused",
        "Requests of known agencies that the hub refused, by the reason it gave.",
        figures.denials,
    )
    yield agencies.denied(figures)


def _habits(figures: Figures, calendar: Calendar) -> Iterator[Figure]:
    yield calendar.first_time(figures)
    yield agencies.newest_pairs(figures)
    yield agencies.heat(figures)
    yield agencies.off_hours(figures)


def _grounds(figures: Figures, calendar: Calendar) -> Iterator[Figure]:
    yield calendar.stack(
        "requested",
        "Given with and without a request",
        "Accesses under a consent, by whether the receiving agency had ever asked the sending one "
        "before. A notice needs no request; look for pairs that live without any.",
        figures.asked_for,
    )
    yield agencies.unrequested(figures)
    yield calendar.stack(
        "consents",
        "Consents made, withdrawn, and refused",
        "Consents registered and withdrawn, and requests refused because a consent was over.",
        figures.consents,
    )


def _answers(figures: Figures) -> Iterator[Figure]:
    yield agencies.waited(
        "response_times",
        "How long answers took",
        "From a request for information to the next answer between the same two agencies.",
        figures.requests,
    )
    yield agencies.answered(
        "requests",
        "Who answers requests",
        "Requests for information, by the agency that was asked.",
        figures.requests,
    )
    yield agencies.pair_times(figures.requests)


def _deletions(figures: Figures) -> Iterator[Figure]:
    yield agencies.waited(
        "deletion_times",
        "How long deletions took",
        "From a request to delete to the receipt for it.",
        figures.deletions,
    )
    yield agencies.answered(
        "deletions",
        "Who deletes when asked",
        "Requests to delete, by the agency that was asked.",
        figures.deletions,
    )
    yield agencies.open_deletions(figures)
