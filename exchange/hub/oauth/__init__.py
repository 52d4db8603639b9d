"""OAuth2: client authentication, DPoP, tokens."""
