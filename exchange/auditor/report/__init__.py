"""The auditor's report: figures counted in one pass over a verified log, and a page of plots made of them."""
