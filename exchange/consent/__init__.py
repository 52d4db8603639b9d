"""The consent decision: may these fields go to this recipient, for this purpose, now? Pure.

An allow-list: whatever no rule allows is denied, and the first rule that fails is named. Nothing here may
read a clock, a database or a record's value, and no rule may be skipped because a value is missing.
A consent is `active`, `withdrawn` (for good) or `superseded` by a newer one of its family; besides, it is
valid only while nbf <= now < exp. What a superseded consent allowed is still given if the newest of the
family allows all of it too; the older one must allow it as well, being what the grant names.

The steps of `decide`, in order. A tag is permanent: never reused, never given another meaning.
A kind of class `consent` takes them all. A kind of class `reference` or `none` carries no field of a
record: it takes C17 and C10, and C01, C02, C03, C08 and C09 on the consent that it points at, if any, which
may be withdrawn or over. A grant of the sender for itself is no sharing: it takes C17 only.

   1. C17-kind           FIELD_DENIED       the kind exists; the names are what it needs and may carry
   2. C01-unknown        CONSENT_UNKNOWN    there is a consent
   3. C02-origin         ORIGIN             it was made for this deployment
   4. C03-issuer         SENDER_MISMATCH    its issuer is the sender (class reference: its two parties are
                                            sender and recipient, either way round)
   5. C04-recipient      RECIPIENT_DENIED   its recipient is the grant's, and the parties given are these two
   6. C05-withdrawn      CONSENT_WITHDRAWN  it is not withdrawn
   7. C07-time           CONSENT_EXPIRED    nbf <= now < exp
   8. C08-subject        SUBJECT_MISMATCH   the grant and the consent are about the same child
   9. C09-thread         CONSENT_MISMATCH   the consent names no thread, or the grant's
  10. C10-purpose        PURPOSE_DENIED     the purpose is in the consent and fits the kind
  11. C11-field          FIELD_DENIED       every field of a record is in the consent
  12. C12-field-purpose  PURPOSE_DENIED     every field of a record may be used for the purpose
  13. C13-authority      AUTHORITY_MISSING  every subject (`about`) of every field has an authority
  14. C14-third-country  AUTHORITY_MISSING  basis `consent` does not count for a public authority that sends
                                            to another country (GDPR 49(3))
  15. C15-vital-interest AUTHORITY_MISSING  basis `vital_interest` counts in a consent of 72 hours at most
  16. C16-screening      SCREENING_DENIED   to an embassy, an authority, a court or any public authority: the
                                            protection screening is `cleared`, with its evidence digest
  17. C18-stage          STAGE_DENIED       fields of stage match_confirmed (current_facility): both sides
                                            confirmed the match in this thread, one answering the other
  18. C20-policy         POLICY_DENIED      the sharing agreement of the two kinds of agency allows it
  19. C06-superseded     CONSENT_SUPERSEDED if superseded: the newest of the family passes C02 to C20 as well

Functions of their own, because they see more than one grant, a signature or a value:
      C19-one-recipient  FIELD_DENIED       `check_one_recipient`
      C21-approvers      AUTHORITY_MISSING  `check_approvers`
      C22-named          CONSENT_MISMATCH   `check_named`
      C23-detention      STAGE_DENIED       `check_detention`
      C24-role           SENDER_MISMATCH    `check_role`

Who makes them (fields.md, "Rules and who can check them"): sender, hub and recipient make all, but the
recipient not C16 and C19, and the hub not C23; for C18 the hub cannot see what the confirmations say. Whoever
decides leaves out of them what an `unmatch` in the thread has taken back since. Clients allow 120 s between
their clock and the hub's; the hub allows nothing.
"""

from exchange.consent.beside import (
    check_approvers,
    check_detention,
    check_named,
    check_one_recipient,
    check_role,
)
from exchange.consent.decision import decide
from exchange.consent.preview import Preview, preview
from exchange.consent.refusals import RULES, enforce
from exchange.consent.values import (
    NO_POLICY,
    Agreement,
    Allow,
    Confirmation,
    ConsentStanding,
    Decision,
    Deny,
    Party,
    Policy,
    ShareRequest,
    Side,
    Status,
)

__all__ = [
    "NO_POLICY",
    "RULES",
    "Agreement",
    "Allow",
    "Confirmation",
    "ConsentStanding",
    "Decision",
    "Deny",
    "Party",
    "Policy",
    "Preview",
    "ShareRequest",
    "Side",
    "Status",
    "check_approvers",
    "check_detention",
    "check_named",
    "check_one_recipient",
    "check_role",
    "decide",
    "enforce",
    "preview",
]
