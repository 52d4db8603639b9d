"""The subject report: who received which fields of a child's record, when, for what, under which consent."""
