"""The auditor program: pull and verify, using only the public read interface."""
