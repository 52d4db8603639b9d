"""The story of Homeward told by its real programs on a hub of its own, in a temporary folder."""
