"""Other ways to seal the same record, as their documentation shows it, each in an environment of its own.

`with_NAME.py` runs in the environment of `NAME.lock`, and imports nothing of this project but `serve`.
"""
