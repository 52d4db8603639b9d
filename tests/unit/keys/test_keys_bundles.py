"""The content of a courier bundle opens for its receiver, under its own cover, whole, or not at all."""

from dataclasses import replace
from io import BytesIO

import pytest

from exchange_keys.bundles import SEALED_KEY_BYTES, BundleContext, open_content, seal_content
from exchange_keys.sealing import EncKey
from exchange_schemas.codec import b64u, sha256
from exchange_schemas.errors import DecryptFailed
from exchange_schemas.ids import AgencyId

CTX = BundleContext("exchange.example", "A" * 22, AgencyId("office"), AgencyId("courier"))


def sealed(key: EncKey, content: bytes) -> bytes:
    out = BytesIO()
    length, digest = seal_content(key.public.raw, BytesIO(content), out, CTX)
    assert (length, digest) == (len(out.getvalue()), b64u(sha256(out.getvalue())))
    return out.getvalue()


@pytest.mark.parametrize("size", [0, 1, 16384, 200_000])
def test_content_of_any_length_opens_for_its_receiver(size: int) -> None:
    key, content, opened = EncKey.generate(), bytes(size), BytesIO()
    open_content(key, BytesIO(sealed(key, content)), opened, CTX)
    assert opened.getvalue() == content


def test_another_key_another_cover_or_another_byte_opens_nothing() -> None:
    key = EncKey.generate()
    data = sealed(key, b"x" * 40_000)
    for ctx in (
        replace(CTX, origin="other.example"),
        replace(CTX, id="B" * 22),
        replace(CTX, iss=AgencyId("other")),
        replace(CTX, to=AgencyId("other")),
    ):
        with pytest.raises(DecryptFailed):
            open_content(key, BytesIO(data), BytesIO(), ctx)
    with pytest.raises(DecryptFailed):
        open_content(EncKey.generate(), BytesIO(data), BytesIO(), CTX)
    for place in (0, SEALED_KEY_BYTES - 1, SEALED_KEY_BYTES + 30, SEALED_KEY_BYTES + 17_000, len(data) - 1):
        bent = bytearray(data)
        bent[place] ^= 1
        with pytest.raises(DecryptFailed):
            open_content(key, BytesIO(bytes(bent)), BytesIO(), CTX)
    for kept in (0, 100, SEALED_KEY_BYTES, SEALED_KEY_BYTES + 17_000, len(data) - 1):
        with pytest.raises(DecryptFailed):
            open_content(key, BytesIO(data[:kept]), BytesIO(), CTX)
