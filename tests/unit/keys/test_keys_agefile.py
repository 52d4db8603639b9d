"""age files: what opens one, and what is said of one that does not open."""

import re
from base64 import b64decode

import pyrage
import pytest

from exchange_keys.agefile import MAX_BYTES, open_with_identity, open_with_passphrase, seal_to_recipients
from exchange_schemas.errors import ConfigInvalid, KeyFileCorrupt, WrongPassphrase

IDENTITY = pyrage.x25519.Identity.generate()
SECRET = b"words for the safe"
# Sealed under SECRET by pyrage, its work then written up to 2^40.
HARDER = (
    "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IHNjcnlwdCBwUGljV3RDVXR2TERLV25zaEFObjNBIDQwCmtrM0dDMW9n"
    "NEx6RDFZYnd2akwxWkVkWldhSHc4QmdvVkc0bXlsNHFWMXcKLS0tIDJ6SXJLYURiTTJMRytxeVNnZjRrdzIzTStG"
    "RVd1MWgzdWJCdTE5cVJiSFkKa9clTDpKEzlZn8Q15BuzBy0oUp/awbkZLmdVcWcmKFwK3ufd"
)


def test_an_identity_opens_what_was_sealed_to_it_and_no_other_does() -> None:
    sealed = seal_to_recipients(b"kept", [str(IDENTITY.to_public())])
    assert open_with_identity(sealed, str(IDENTITY)) == b"kept"
    with pytest.raises(WrongPassphrase):
        open_with_identity(sealed, str(pyrage.x25519.Identity.generate()))
    with pytest.raises(WrongPassphrase):
        open_with_passphrase(sealed, SECRET)


@pytest.mark.parametrize("spoilt", [b"", b"age", b"age-encryption.org/v2\n", b"x" * (MAX_BYTES + 1)])
def test_what_is_no_age_file_is_said_to_be_none(spoilt: bytes) -> None:
    with pytest.raises(KeyFileCorrupt):
        open_with_identity(spoilt, str(IDENTITY))
    with pytest.raises(KeyFileCorrupt):
        open_with_passphrase(spoilt, SECRET)


def test_a_file_that_asks_for_too_much_work_is_not_said_to_have_another_passphrase() -> None:
    """A busy or old machine refuses what a fast one sealed: nobody must think that the words are lost."""
    harder = b64decode(HARDER)
    assert re.search(rb"(?m)^-> scrypt \S+ 40$", harder)
    with pytest.raises(ConfigInvalid, match="more work") as refused:
        open_with_passphrase(harder, SECRET)
    assert "not tried" in str(refused.value.hint)


@pytest.mark.parametrize("recipients", [[], ["age1nonsense"]])
def test_what_is_no_recipient_is_refused(recipients: list[str]) -> None:
    with pytest.raises(ConfigInvalid):
        seal_to_recipients(b"kept", recipients)
