"""Reading other systems' files into records: PFIF 1.1-1.4 XML and Primero v2 case lists.

Nothing here opens a network connection, and no message here ever holds a value from a file.
"""
