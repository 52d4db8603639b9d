"""Constants of the agency's tests; all people and places are invented."""

ORIGIN = "exchange.example"
PASSPHRASE = b"four random words here"
ROOT_PASSPHRASE = b"other words for the root"
