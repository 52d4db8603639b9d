"""What every member of an exchange does: home folder, users, keys, enrolment, transport, receipts, directory.

It must know nothing of records, consents or envelopes, so that an auditor's program can stand on it too.
"""
