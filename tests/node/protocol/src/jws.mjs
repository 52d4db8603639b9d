// Section 5 of docs/protocol.md: signed objects.

import { PATTERNS, pattern } from './catalogue.mjs'
import { Refused, b64u, decode, isObject, malformed, unb64u } from './codec.mjs'
import { verifySignature } from './crypto.mjs'
import { checkFrame } from './schemas.mjs'

const SIGNATURE_BYTES = { Ed25519: 64, 'ML-DSA-65': 3309 }
const ascii = (text) => new Uint8Array(Buffer.from(text, 'ascii'))

function exactly(value, names) {
  const fits = isObject(value) && Object.keys(value).sort().join() === names.join()
  if (!fits) throw malformed('other members than it must have')
  return value
}

function readSignature(value) {
  const item = exactly(value, ['protected', 'signature'])
  const header = unb64u(item.protected, { most: 160 })
  const { alg, kid, typ } = exactly(decode(header, 160, 1), ['alg', 'kid', 'typ'])
  if (typeof alg !== 'string' || !Object.hasOwn(SIGNATURE_BYTES, alg)) throw malformed('alg')
  pattern(typ, /^hx-[a-z]{2,30}$/)
  pattern(kid, PATTERNS.digest)
  return { header, alg, kid, typ, signature: unb64u(item.signature, { length: SIGNATURE_BYTES[alg] }) }
}

export function readSigned(value, limit) {
  const item = exactly(value, ['payload', 'signatures'])
  const payload = unb64u(item.payload, { most: limit })
  const listed = item.signatures
  if (!Array.isArray(listed) || listed.length < 1 || listed.length > 34) throw malformed('signatures')
  const signatures = listed.map(readSignature)
  if (new Set(signatures.map((one) => one.kid)).size !== signatures.length) throw malformed('one key signed twice')
  return { payload, signatures }
}

// Steps 1 to 3 of "To verify for a type and an origin"; the kids that signed.
export function verify({ payload, signatures }, typ, origin, keyFor) {
  if (signatures.some((one) => one.typ !== typ)) throw malformed('a signature for another type')
  const members = decode(payload, 256 * 1024)
  checkFrame(members, typ)
  if (members.origin !== origin) throw new Refused('ORIGIN')
  for (const one of signatures) {
    const key = keyFor(one.kid)
    if (key === undefined) throw new Refused('KID_UNKNOWN')
    if (key.alg !== one.alg) throw new Refused('KEY_WRONG_USE')
    verifySignature(key, ascii(`${b64u(one.header)}.${b64u(payload)}`), one.signature)
  }
  return signatures.map((one) => one.kid)
}
