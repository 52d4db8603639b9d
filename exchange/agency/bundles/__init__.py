"""Courier bundles: what an office without network sends and receives, as signed and sealed files on a stick.

`office` is the side without network, `courier` the side that has one; `file` and `content` are the format.
"""
