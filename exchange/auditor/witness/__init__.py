"""A witness: it remembers the largest tree of each log it knows, and cosigns only what continues it."""
