"""The dry run: what would this agency receive of a record, and why not the rest; nothing leaves.

The holder's own rules come first (what a source forbids, age, the consent that is to be used), then every
part by the rules that hub and recipient make too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exchange.agency.deciding import case_of, preview_case
from exchange.agency.model import Checked, Record, Withheld
from exchange.agency.planning import Planner, Wish
from exchange.consent import Deny
from exchange.member.session import Session
from exchange_schemas.catalogue import KindSpec, load_catalogue
from exchange_schemas.codec import JsonValue
from exchange_schemas.errors import ExchangeError, HubRefused
from exchange_schemas.ids import AgencyId, ConsentId, ThreadId, check_agency


@dataclass(frozen=True, slots=True)
class Checker:
    """Dry runs for one session."""

    session: Session
    planner: Planner

    def check(self, wish: Wish) -> list[Checked]:
        """One answer for each recipient. Raises: Malformed, RecordUnknown for what was asked wrongly."""
        kind = load_catalogue().kind(wish.kind)
        record = None if wish.record is None else self.planner.records.get(wish.record)
        return [self._one(wish, kind, check_agency(to, field="to"), record) for to in wish.to]

    def check_at_hub(self, wish: Wish) -> list[Checked]:
        """The hub's answer for each recipient whose consent the local dry run found.

        Raises: HubUnreachable, NotFound for a consent that the hub does not know.
        """
        return [self._ask_hub(one) for one in self.check(wish) if one.consent is not None]

    def _one(self, wish: Wish, kind: KindSpec, to: AgencyId, record: Record | None) -> Checked:
        names = _names(wish, kind, record)
        try:
            bare, row = self.planner.bare(wish, to, record, self.planner.answered(wish))
            case = case_of(self.session, self.planner.consents, kind.name, bare, row)
        except ExchangeError as error:
            return Checked(to, kind.name, None, wish.purpose, None, (), (), _refusal(error))
        found = preview_case(self.session, case, [*names, *_message_names(kind)])
        absent = {name for name in names if record is not None and name not in {*record.fields, "child_ref"}}
        known = load_catalogue().fields
        return Checked(
            recipient=to,
            kind=kind.name,
            consent=None if bare.cid is None else ConsentId(bare.cid),
            purpose=bare.purpose,
            thread=bare.thread,
            given=tuple(name for name in found.given if name in known and name not in absent),
            withheld=(
                *(_denied(denied, name) for name, denied in found.withheld),
                *(_absent(name) for name in found.given if name in absent),
            ),
            refused=_denied(found.whole, found.whole.field) if isinstance(found.whole, Deny) else None,
        )

    def _ask_hub(self, local: Checked) -> Checked:
        names = {*local.given, *(one.field for one in local.withheld if one.field is not None)}
        body: dict[str, JsonValue] = {
            "consent": local.consent,
            "kind": local.kind,
            "purpose": local.purpose,
            "names": [*sorted(names | set(_message_names(load_catalogue().kind(local.kind))))],
        }
        if local.thread is not None:
            body["thread"] = local.thread
        _, answer = self.session.hub.post("/v1/consents/check", body)
        denial, known = answer.get("denial"), load_catalogue().fields
        return Checked(
            recipient=local.recipient,
            kind=local.kind,
            consent=local.consent,
            purpose=local.purpose,
            thread=ThreadId(local.thread) if local.thread is not None else None,
            given=tuple(str(name) for name in _list(answer, "given") if name in known),
            withheld=tuple(_told(one) for one in _list(answer, "withheld") if isinstance(one, dict)),
            refused=_told(denial) if isinstance(denial, dict) else None,
        )


def _names(wish: Wish, kind: KindSpec, record: Record | None) -> list[str]:
    """The fields asked about: the named ones, or all of the record that the kind may carry."""
    catalogue = load_catalogue()
    if wish.fields is not None:
        return sorted({catalogue.field(name).name for name in wish.fields})
    held = set() if record is None else {*record.fields, "child_ref"}
    return sorted(held & kind.allowed)


def _message_names(kind: KindSpec) -> list[str]:
    """The message fields that the kind needs: a dry run takes them for given."""
    known = load_catalogue().message_fields
    return sorted({name for need in kind.needs for group in need for name in group if name in known})


def _denied(denied: Deny, field: str | None) -> Withheld:
    return Withheld(field, denied.rule, denied.code, denied.reason, denied.remedy)


def _absent(name: str) -> Withheld:
    return Withheld(name, "no-value", "RECORD_UNKNOWN", f"the record has no {name}", "entering it first")


def _refusal(error: ExchangeError) -> Withheld:
    rule = "" if error.rule is None else error.rule
    return Withheld(error.field, rule, error.code, error.message, "" if error.hint is None else error.hint)


def _told(value: Mapping[str, JsonValue]) -> Withheld:
    field = value.get("field")
    rule, code, reason, remedy = (str(value.get(name, "")) for name in ("rule", "code", "reason", "remedy"))
    return Withheld(None if field is None else str(field), rule, code, reason, remedy)


def _list(answer: Mapping[str, JsonValue], name: str) -> Sequence[JsonValue]:
    found = answer.get(name)
    if not isinstance(found, list):
        raise HubRefused("the hub's answer to a dry run lacks its lists", field=name)
    return found
