"""Primero's lookup values and field names in the exchange's words. Data only.

Sources: Primero v2 configuration for CPIMS+ (lookups for care arrangements, family relationship, disability).
A value that is not here is left out by name, never guessed.
"""

from collections.abc import Callable, Mapping
from typing import Final

Find = Callable[[str], str | None]

RELATION: Final[Mapping[str, str]] = {
    "mother": "mother",
    "father": "father",
    "grandmother": "grandmother",
    "grandfather": "grandfather",
    "sister": "sister",
    "brother": "brother",
    "half_sibling": "half_sibling",
    "half_brother": "half_sibling",
    "half_sister": "half_sibling",
    "aunt": "aunt",
    "uncle": "uncle",
    "cousin": "cousin",
    "stepmother": "step_parent",
    "stepfather": "step_parent",
    "step_parent": "step_parent",
    "legal_guardian": "guardian",
    "guardian": "guardian",
    "other_relative": "other_kin",
    "other_family": "other_kin",
    "other_nonfamily": "not_kin",
    "non_related_caregiver": "not_kin",
}
LIVING: Final[Mapping[str, str]] = {
    "yes": "yes",
    "alive": "yes",
    "true": "yes",
    "no": "no",
    "dead": "no",
    "false": "no",
    "unknown": "unknown",
}
_CARE: Final[Mapping[str, str]] = {
    "parental_care": "with_parent",
    "parents": "with_parent",
    "kinship_care": "kin",
    "extended_family": "kin",
    "foster_care": "foster",
    "foster_family": "foster",
    "kafala": "kafala",
    "kafalah": "kafala",
    "residential_care_center": "orphanage",
    "orphanage": "orphanage",
    "transit_center": "shelter",
    "interim_care_center": "shelter",
    "hospital": "hospital",
    "independent_living": "alone",
    "child_alone": "alone",
}
_CAREGIVER: Final[Mapping[str, str]] = {
    **dict.fromkeys((key for key, value in RELATION.items() if value not in ("guardian", "not_kin")), "kin"),
    "family_friend": "family_friend",
    "neighbor": "family_friend",
    "other_nonfamily": "unrelated",
    "non_related_caregiver": "unrelated",
    "staff": "staff",
}
_CASE_STEP: Final[Mapping[str, str]] = {
    "open": "found",
    "in_progress": "found",
    "verified": "relation_verified",
    "reunified": "reunited",
}
_CAUSE: Final[Mapping[str, str]] = {
    "death": "death_of_parent",
    "death_of_parent": "death_of_parent",
    "detention": "detention_of_parent",
    "flight": "flight",
    "population_movement": "flight",
    "sickness_of_family_member": "hospital",
    "hospital": "hospital",
    "accident": "accident",
    "entrusted_into_the_care_of_an_individual": "left_in_care",
    "abduction": "taken",
}
DISABILITY: Final[Mapping[str, str]] = {
    "mobility_disability": "disability_mobility",
    "physical_disability": "disability_mobility",
    "mobility": "disability_mobility",
    "visual_disability": "disability_sensory",
    "blind": "disability_sensory",
    "hearing_disability": "disability_sensory",
    "deaf": "disability_sensory",
    "intellectual_disability": "disability_learning",
    "learning_disability": "disability_learning",
}

# source field: (catalogue field, its table)
CODES: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "separation_cause": ("separation_cause", _CAUSE),
    "care_arrangements_type": ("care_arrangement", _CARE),
    "relationship_caregiver": ("caregiver_relation", _CAREGIVER),
    "tracing_status": ("case_step", _CASE_STEP),
}
TEXTS: Final[Mapping[str, str]] = {
    "address_current": "current_facility",
    "name_caregiver": "caregiver_name",
    "national_id_no": "document_number",
}

MAPPED: Final = frozenset(
    {
        "id",
        "case_id_display",
        "name",
        "name_first",
        "name_last",
        "name_middle",
        "name_nickname",
        "name_other",
        "name_given_post_separation",
        "sex",
        "age",
        "date_of_birth",
        "estimated",
        "nationality",
        "language",
        "location_current",
        "location_last",
        "date_of_separation",
        "location_separation",
        "family_details_section",
        "disability_type",
        "consent_for_services",
        "consent_for_tracing",
        "disclosure_other_orgs",
        "withholding_info_reason",
        "registration_date",
        "place_of_birth",
        *CODES,
        *TEXTS,
    }
)

_SPECIAL: Final = "special category that the exchange never carries"
_LOCAL: Final = "the source's own administration stays local"
_ELSEWHERE: Final = "a number of another system stays local"
WHY_NOT: Final[Mapping[str, str]] = {
    "religion": _SPECIAL,
    "ethnicity": _SPECIAL,
    "sub_ethnicity_1": _SPECIAL,
    "sub_ethnicity_2": _SPECIAL,
    "protection_concerns": "says more than an agency needs; urgent_flags are entered by a person",
    "protection_concern_detail_subform_section": "says more than an agency needs",
    "unhcr_individual_no": _ELSEWHERE,
    "icrc_ref_no": _ELSEWHERE,
    "rc_id_no": _ELSEWHERE,
    "family_id": _ELSEWHERE,
    "owned_by": _LOCAL,
    "owned_by_agency": _LOCAL,
    "module_id": _LOCAL,
    "child_status": _LOCAL,
    "created_at": _LOCAL,
    "created_by": _LOCAL,
    "last_updated_at": _LOCAL,
    "short_id": _LOCAL,
    "interview_subject": _LOCAL,
    "consent_info_sharing": "whom the family would tell is for the caseworker to read",
    "photos": "photos are never fetched; attach the file with: record photo",
    "other_id_type": "a document needs its country; enter documents_held by hand",
    "notes_section": "case notes are never carried",
}
