// Sections 7 to 9 of docs/protocol.md: parts, grants, manifests.

import { bucketOf } from './catalogue.mjs'
import { Refused, b64u, malformed } from './codec.mjs'
import { H, LP, cobblestoneOpen, digest, hpkeOpen, partContext, sealedLength, unpad } from './crypto.mjs'
import { readPayload } from './schemas.mjs'

export const grantDigest = (core, sealed) => b64u(H(LP(core, sealed)))

export function openPart(core, ref, key, ciphertext) {
  const bucket = bucketOf(ref.f)
  if (bucket !== null && ciphertext.length !== sealedLength(bucket)) throw malformed('part: another length')
  const ctx = partContext({ origin: core.origin, eid: core.eid, p: ref.p, field: ref.f, schema: core.sch, sender: core.snd })
  return unpad(cobblestoneOpen(key, ciphertext, ctx), bucket)
}

// Section 7, of an attachment: length and digest of the whole before a byte is opened.
export function openAttachment(context, ref, key, ciphertext) {
  if (ciphertext.length !== ref.len || digest(ciphertext) !== ref.sha256) throw new Refused('PART_DIGEST')
  return unpad(cobblestoneOpen(key, ciphertext, partContext(context)), null)
}

// "To open a grant": field to plaintext, attachments left out; `part` gives the ciphertext of a reference.
export function openGrant(coreBytes, sealed, key, part) {
  const core = readPayload('hx-grant', coreBytes)
  if (core.rcp_kid !== key.public.kid) throw new Refused('KID_UNKNOWN')
  if (sealed.length !== 1136 + 32 * core.parts.length) throw malformed('sealed: another length')
  const joined = hpkeOpen(key, sealed, H(LP('hx1/grant', coreBytes)))
  const small = core.parts
    .map((ref, at) => ({ ref, key: joined.slice(32 * at, 32 * at + 32) }))
    .filter(({ ref }) => bucketOf(ref.f) !== null)
    .map((one) => ({ ...one, ciphertext: part(one.ref) }))
  for (const { ref, ciphertext } of small) {
    if (ciphertext.length !== ref.len || digest(ciphertext) !== ref.sha256) throw new Refused('PART_DIGEST')
  }
  return Object.fromEntries(small.map((one) => [one.ref.f, openPart(core, one.ref, one.key, one.ciphertext)]))
}

// Section 9: the grant in its manifest.
export function grantIn(manifest, coreBytes, sealed) {
  const core = readPayload('hx-grant', coreBytes)
  if (!manifest.grants.includes(grantDigest(coreBytes, sealed))) throw new Refused('MANIFEST_MISMATCH')
  if (core.eid !== manifest.eid || core.origin !== manifest.origin) throw new Refused('MANIFEST_MISMATCH')
  if (core.snd !== manifest.snd) throw new Refused('SENDER_MISMATCH')
  return core
}
