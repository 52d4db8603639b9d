"""The key directory: events, states and rules. Pure, over the log."""
