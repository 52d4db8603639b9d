"""Standard base64 as the C2SP formats write it; one spelling for each value, anything else refused."""

import binascii


def base64_text(data: bytes) -> str:
    """Standard base64 with padding, no newline (RFC 4648, 4)."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def base64_bytes(text: str) -> bytes | None:
    """What `base64_text` wrote, or None where it could not have written this."""
    try:
        data = binascii.a2b_base64(text.encode("ascii"))
    except (UnicodeEncodeError, binascii.Error):
        return None
    return data if base64_text(data) == text else None
