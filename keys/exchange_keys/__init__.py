"""All cryptography of Homeward: key files, sealing, signing, key identifiers."""
