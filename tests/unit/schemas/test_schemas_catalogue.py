"""The catalogue: complete, closed, consistent, and the same as the design documents."""

import re
from pathlib import Path

import pytest

from exchange_schemas.catalogue import bucket_of, check_kind, load_catalogue
from exchange_schemas.errors import FieldDenied, Malformed
from exchange_schemas.limits import LIMITS
from exchange_schemas.value_types import PLAIN, CodesType, CodeType, ListType, ObjectType, PlainType

DESIGN = Path(__file__).resolve().parents[4] / "shared" / "design"
CATALOGUE = load_catalogue()
BUCKETS = {256, 512, 1024, 2048, 4096, 8192}
# Where the largest legal value does not fit the design's bucket, ours is larger.
RAISED = {"name_lineage": 2048, "names_other": 4096, "marks": 4096, "relatives": 8192}
LETTERS = {"T": "trace", "V": "verify", "D": "document", "H": "health", "C": "care", "R": "reunify"}


def rows(name: str, columns: int) -> list[list[str]]:
    path = DESIGN / name
    if not path.is_file():
        pytest.skip("the design documents ../shared/design are not here")
    lines = [line for line in path.read_text("utf-8").splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if len(row) == columns]


def inner(kind):
    yield kind
    if isinstance(kind, ListType):
        yield from inner(kind.item)
    if isinstance(kind, ObjectType):
        for member in kind.members:
            yield from inner(member.type)


ALL_TYPES = [
    found
    for spec in [*CATALOGUE.fields.values(), *CATALOGUE.message_fields.values()]
    for found in inner(spec.type)
]


def test_it_is_read_once():
    assert load_catalogue() is CATALOGUE


def test_it_cannot_be_changed():
    with pytest.raises(TypeError):
        CATALOGUE.fields["sex"] = None


def test_the_record_fields_are_those_of_the_design():
    design = [row for row in rows("fields.md", 9) if row[0].isdigit()]
    ours = list(CATALOGUE.fields.values())
    assert [(int(row[0]), row[1]) for row in design] == [(spec.number, spec.name) for spec in ours]
    for row, spec in zip(design, ours, strict=True):
        assert int(row[3]) == spec.sensitivity, spec.name
        assert set(row[4].replace(",", "").split()) == spec.about, spec.name
        assert spec.purposes == (
            set(LETTERS.values()) if row[6] == "all" else {LETTERS[letter] for letter in row[6]}
        ), spec.name
        bucket = None if row[5] == "PADMÉ" else int(row[5] or 256)
        assert spec.bucket == RAISED.get(spec.name, bucket), spec.name
        assert spec.per_recipient is ("per_recipient" in row[2]), spec.name
        assert spec.one_recipient is ("one recipient" in row[2] or "issuer only" in row[2]), spec.name
        assert (spec.primero is None) is (row[8] in {"–", "stays local"}), spec.name


def test_the_raised_buckets_are_the_only_ones_that_differ():
    for name, bucket in RAISED.items():
        assert CATALOGUE.field(name).bucket == bucket


CODES_MD = {
    "relation": "relation",
    "living": "living",
    "claimant_evidence": "claimant_evidence",
    "separation_cause": "separation_cause",
    "source": "source",
    "confidence": "confidence",
    "care_arrangement": "care_arrangement",
    "caregiver_relation": "caregiver_relation",
    "guardian_status": "guardian_status",
    "health_need": "health_need",
    "communication_needs": "communication_need",
    "document kind": "document_kind",
    "document status": "document_status",
    "nationality basis": "nationality_basis",
    "travel_step": "travel_step",
    "dna_step": "dna_step",
    "case_step": "case_step",
    "refusal": "refusal",
    "need_code": "need_code",
    "service_code": "service_code",
    "urgency": "urgency",
    "service_answer": "service_answer",
    "blocker_code": "blocker_code",
    "transfer_answer": "transfer_answer",
    "match_decision": "match_decision",
    "closure_outcome": "closure_outcome",
    "reason_code": "reason_code",
    "agency kind": "agency_kind",
}


def test_every_code_list_is_that_of_the_design():
    design = {re.sub(r" \(.*", "", row[0]): row[1] for row in rows("codes.md", 2) if row[0] != "list"}
    ours = {theirs: " ".join(CATALOGUE.codes[name]) for theirs, name in CODES_MD.items()}
    codes = CATALOGUE.codes
    ours["procedure, outcome"] = " ; ".join(
        [" ".join(codes["procedure"]), " ".join(codes["decision_outcome"])]
    )
    ours["contact_wish, reason"] = " ; ".join(
        [" ".join(codes["contact_wish"]), " ".join(codes["contact_wish_reason"])]
    )
    # ADR 0032: an NGO that gives psychosocial care is a kind of its own.
    ours["agency kind"] = ours["agency kind"].removesuffix(" psychosocial")
    ours["child_wishes"] = (
        f"trace: {' '.join(codes['trace_wish'])} ; reunify: {' '.join(codes['reunify_wish'])}"
    )
    assert ours == design


def test_the_message_fields_are_those_of_the_design():
    path = DESIGN / "fields.md"
    if not path.is_file():
        pytest.skip("the design documents ../shared/design are not here")
    section = path.read_text("utf-8").split("## Message fields")[1].split("## ")[0]
    listed = re.sub(r"[\[({].*?[\])}]+", "", section.split("\n", 2)[2]).replace("\n", " ").strip(" .")
    names = {name.strip() for name in re.sub(r"\{[^}]*\}\)?", "", listed).split(",")}
    assert {name for name in names if re.fullmatch("[a-z_]+", name)} <= set(CATALOGUE.message_fields)
    assert set(CATALOGUE.message_fields) - names == {"on_behalf_of", "lost_envelopes"}


def test_the_kinds_are_those_of_the_design():
    listed = [row for row in rows("fields.md", 4) if row[0] not in {"kind", "rule"} and "---" not in row[0]]
    kinds = {name.strip(): row for row in listed for name in row[0].split(",")}
    ours = {name: row for name, row in kinds.items() if name in CATALOGUE.kinds}
    # Ours alone: docs/adr/0039.
    assert set(CATALOGUE.kinds) - set(ours) == {"regrant_request"}
    numbers = {str(spec.number): name for name, spec in CATALOGUE.fields.items()}
    for name, row in ours.items():
        spec = CATALOGUE.kinds[name]
        assert row[1].startswith(spec.authority), name
        purposes = set(re.findall(r"trace|verify|health|care", row[1]))
        assert (spec.purposes or set()) == purposes, name
        needed = {numbers[n] for n in re.findall(r"\b\d+\b", row[2])}
        allowed = {numbers[n] for n in re.findall(r"\b\d+\b", row[3])}
        if name not in {"information_response", "correction"}:
            assert spec.allowed & set(CATALOGUE.fields) == needed | allowed, name
            assert spec.may & set(CATALOGUE.fields) == allowed, name
        if "codes and references only" not in row[2]:
            words = set(re.findall("[a-z_]+", f"{row[2]} {row[3]}"))
            assert spec.allowed & set(CATALOGUE.message_fields) == words & set(CATALOGUE.message_fields), name


def test_numbers_run_from_1_to_44_and_names_never_collide():
    assert [spec.number for spec in CATALOGUE.fields.values()] == list(range(1, 45))
    assert set(CATALOGUE.fields).isdisjoint(CATALOGUE.message_fields)


def test_every_name_purpose_subject_and_bucket_is_of_its_set():
    assert CATALOGUE.subjects == {"child", "relative", "caregiver"}
    assert CATALOGUE.purposes == tuple(LETTERS.values())
    assert CATALOGUE.bases == (
        "consent",
        "best_interests_decision",
        "vital_interest",
        "legal_obligation",
        "public_task",
    )
    for spec in CATALOGUE.fields.values():
        assert spec.sensitivity in {1, 2, 3}
        assert spec.about <= CATALOGUE.subjects
        assert spec.purposes <= set(CATALOGUE.purposes)
        assert spec.bucket in BUCKETS or (spec.name, spec.bucket) == ("photo", None)
    for spec in CATALOGUE.message_fields.values():
        assert spec.bucket in BUCKETS


def test_only_the_marked_fields_are_for_one_recipient_or_sealed_for_each():
    assert {s.name for s in CATALOGUE.fields.values() if s.per_recipient} == {"child_ref", "kin_refs"}
    assert {s.name for s in CATALOGUE.fields.values() if s.one_recipient} == {
        "relative_contact",
        "current_facility",
        "care_arrangement",
        "document_number",
    }


def test_every_label_says_something_and_every_type_can_be_described():
    specs = [*CATALOGUE.fields.values(), *CATALOGUE.message_fields.values()]
    for spec in specs:
        assert spec.label
        assert spec.describe()
    assert len({spec.label for spec in specs}) == len(specs)


def test_the_description_says_the_limits():
    assert CATALOGUE.field("found_with").describe() == "text of at most 200 characters"
    assert CATALOGUE.field("urgent_flags").describe() == (
        "1 to 3 of medical_now, infant_alone, trafficking_risk, none_known; none_known only alone"
    )


def test_every_type_is_one_that_a_validator_exists_for():
    for kind in ALL_TYPES:
        if isinstance(kind, PlainType):
            assert kind.name in PLAIN
        if isinstance(kind, CodeType | CodesType):
            assert kind.codes == CATALOGUE.codes[kind.list_name]
            assert len(set(kind.codes)) == len(kind.codes)
        if isinstance(kind, CodesType):
            assert set(kind.alone) < set(kind.codes)
            assert kind.most <= len(kind.codes)


def test_the_rules_of_objects_name_their_own_members():
    for kind in ALL_TYPES:
        if isinstance(kind, ObjectType):
            optional = {member.name for member in kind.members if member.optional}
            required = {member.name for member in kind.members} - optional
            assert {name for pair in kind.ordered for name in pair} <= required
            assert set(kind.any_of) <= optional
            if kind.when is not None:
                assert kind.when.member in required
                assert set(kind.when.needs) <= optional
        if isinstance(kind, ListType) and kind.unique:
            assert isinstance(kind.item, ObjectType)
            assert set(kind.unique) <= {member.name for member in kind.item.members if not member.optional}


def test_every_code_list_is_used_or_belongs_to_a_payload():
    used = {kind.list_name for kind in ALL_TYPES if isinstance(kind, CodeType | CodesType)}
    assert set(CATALOGUE.codes) - used == {
        "agency_kind",
        "screening_state",
        "revoke_reason",
        "standing_reason",
    }


def test_kinds_name_only_what_exists():
    names = set(CATALOGUE.fields) | set(CATALOGUE.message_fields)
    for spec in CATALOGUE.kinds.values():
        assert spec.allowed <= names
        assert spec.may <= spec.allowed
        assert spec.authority in {"consent", "reference", "none"}
        assert spec.purposes is None or spec.purposes <= set(CATALOGUE.purposes)
        assert spec.header <= {"reply_by"}
        if spec.authority != "consent":
            assert spec.allowed.isdisjoint(CATALOGUE.fields), "no field about a person without a consent"


def test_the_photo_limit_is_the_attachment_limit():
    photo = {member.name: member.type for member in CATALOGUE.field("photo").type.members}
    assert photo["bytes"].most == LIMITS.attachment_bytes


def test_agency_kinds_are_codes():
    assert CATALOGUE.agency_kinds == CATALOGUE.codes["agency_kind"]


def test_an_unknown_field_or_kind_is_refused_without_being_echoed():
    for call in (lambda: CATALOGUE.field("shoe_size"), lambda: bucket_of(CATALOGUE, "shoe_size")):
        with pytest.raises(FieldDenied) as caught:
            call()
        assert "shoe_size" not in str(caught.value)
    with pytest.raises(Malformed):
        CATALOGUE.kind("rumour")
    with pytest.raises(Malformed):
        check_kind(CATALOGUE, "rumour", [])


def test_buckets_by_name():
    assert bucket_of(CATALOGUE, "sex") == 256
    assert bucket_of(CATALOGUE, "photo") is None
    assert bucket_of(CATALOGUE, "refusals") == 4096


GOOD = {
    "tracing_request": [
        "child_ref",
        "names_other",
        "sex",
        "age_range",
        "relatives",
        "claimant_relation",
        "last_seen",
    ],
    "sighting": ["child_ref", "photo"],
    "found_notice": ["child_ref", "name_given", "sex", "age_range", "current_area", "photo"],
    "match_answer": ["candidate_ref", "comparison"],
    "match_confirmation": [
        "candidate_ref",
        "match_level",
        "match_decision",
        "statement_digest",
        "child_wishes",
    ],
    "information_request": ["asked_fields", "need_code", "on_behalf_of"],
    "information_response": ["birth_date", "refusals"],
    "document_step": ["dna_step", "due_date"],
    "service_referral": ["sex", "age_range", "service_code", "urgency", "contact_point", "health_need_codes"],
    "service_answer": ["service_answer"],
    "responsibility_offer": ["guardian_status", "best_interests_decision", "transfer_date"],
    "responsibility_answer": ["transfer_answer"],
    "closure": ["case_step", "closure_outcome", "follow_up_due", "destroy_by"],
    "correction": ["correction_of", "name_family"],
    "deletion_request": ["reason_code"],
    "deletion_receipt": ["deletion_outcome"],
    "withdrawal_request": ["reason_code"],
    "unmatch": ["candidate_ref", "reason_code"],
    "declined": [],
    "breach_notice": ["reason_code"],
    "regrant_request": ["lost_envelopes"],
}


@pytest.mark.parametrize("kind", CATALOGUE.kinds)
def test_a_message_that_has_what_it_needs_passes(kind):
    check_kind(CATALOGUE, kind, GOOD[kind])


@pytest.mark.parametrize("kind", CATALOGUE.kinds)
def test_nothing_may_be_left_out_of_what_it_needs(kind):
    spec = CATALOGUE.kinds[kind]
    for need in spec.needs:
        without = {name for name in GOOD[kind] if not any(name in group for group in need)}
        with pytest.raises(FieldDenied) as caught:
            check_kind(CATALOGUE, kind, without)
        assert caught.value.rule == "needs"
        assert kind in str(caught.value)


@pytest.mark.parametrize("kind", CATALOGUE.kinds)
def test_nothing_else_may_be_in_it(kind):
    names = set(CATALOGUE.fields) | set(CATALOGUE.message_fields)
    for name in names - CATALOGUE.kinds[kind].allowed:
        with pytest.raises(FieldDenied) as caught:
            check_kind(CATALOGUE, kind, [*GOOD[kind], name])
        assert (caught.value.field, caught.value.rule) == (name, "allowed")
        assert kind in str(caught.value)


def test_an_unknown_name_in_a_message_is_refused_and_not_echoed():
    with pytest.raises(FieldDenied) as caught:
        check_kind(CATALOGUE, "declined", ["shoe_size"])
    assert caught.value.field is None
    assert "shoe_size" not in str(caught.value)


def test_a_group_counts_only_when_it_is_whole():
    base = [name for name in GOOD["tracing_request"] if name != "last_seen"]
    check_kind(CATALOGUE, "tracing_request", [*base, "separation_date", "separation_place"])
    for half in ("separation_date", "separation_place"):
        with pytest.raises(FieldDenied):
            check_kind(CATALOGUE, "tracing_request", [*base, half])


def test_a_correction_corrects_at_least_one_field():
    with pytest.raises(FieldDenied):
        check_kind(CATALOGUE, "correction", ["correction_of"])
