"""Talking to others over HTTP: one bounded exchange, and what witnesses answer. No tokens, no records."""
