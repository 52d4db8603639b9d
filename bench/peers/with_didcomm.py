"""didcomm (DIDComm v2): an authenticated message for each recipient, ECDH-1PU over X25519."""

import asyncio
import json

from authlib.jose import OKPKey
from didcomm.common.resolvers import ResolversConfig
from didcomm.common.types import VerificationMaterial, VerificationMaterialFormat, VerificationMethodType
from didcomm.did_doc.did_doc import DIDDoc
from didcomm.did_doc.did_resolver_in_memory import DIDResolverInMemory
from didcomm.message import Message
from didcomm.pack_encrypted import PackEncryptedConfig, pack_encrypted
from didcomm.secrets.secrets_resolver import Secret
from didcomm.secrets.secrets_resolver_in_memory import SecretsResolverInMemory
from didcomm.unpack import unpack
from pydid.verification_method import JsonWebKey2020
from serve import Fields, Pair, serve

SENDER = "did:example:sender"


def make(fields: Fields, count: int) -> Pair:
    """One packed message for each recipient."""
    dids = [f"did:example:recipient{number}" for number in range(count)]
    docs, secrets = zip(*(_party(did) for did in (SENDER, *dids)), strict=True)
    resolvers = ResolversConfig(SecretsResolverInMemory(secrets), DIDResolverInMemory(docs))
    config = PackEncryptedConfig(forward=False)

    async def pack() -> list[str]:
        packed = []
        for number, did in enumerate(dids):
            message = Message(id=str(number), type="record", body=fields, frm=SENDER, to=[did])
            done = await pack_encrypted(resolvers, message, to=did, frm=SENDER, pack_config=config)
            packed.append(done.packed_msg)
        return packed

    def seal() -> list[str]:
        return asyncio.run(pack())

    def open_(sealed: list[str]) -> Fields:
        return asyncio.run(unpack(resolvers, sealed[0])).message.body

    return seal, open_


def _party(did: str) -> tuple[DIDDoc, Secret]:
    kid = f"{did}#key"
    key = OKPKey.generate_key("X25519", is_private=True)
    method = JsonWebKey2020(id=kid, type="JsonWebKey2020", controller=did, public_key_jwk=key.as_dict())
    doc = DIDDoc(id=did, verification_method=[method], key_agreement=[kid], authentication=[], service=[])
    private = json.dumps(key.as_dict(is_private=True))
    material = VerificationMaterial(format=VerificationMaterialFormat.JWK, value=private)
    return doc, Secret(kid, VerificationMethodType.JSON_WEB_KEY_2020, material)


if __name__ == "__main__":
    serve(make, lambda sealed: sum(map(len, sealed)))
