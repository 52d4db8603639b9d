"""Services: each owns its transaction and the audit entry inside it. Never imports Flask."""
