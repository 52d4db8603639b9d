// Section 3 of docs/protocol.md: signatures, X-Wing, HPKE, Cobblestone-256; sections 4 and 7: kids, padding.

import { gcm } from '@noble/ciphers/aes.js'
import { ed25519, x25519 } from '@noble/curves/ed25519.js'
import { p256 } from '@noble/curves/nist.js'
import { hmac } from '@noble/hashes/hmac.js'
import { sha256, sha512 } from '@noble/hashes/sha2.js'
import { sha3_256, shake256 } from '@noble/hashes/sha3.js'
import { ml_dsa65 } from '@noble/post-quantum/ml-dsa.js'
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js'
import { createPublicKey } from 'node:crypto'

import { Refused, b64u, malformed } from './codec.mjs'

const ascii = (text) => new Uint8Array(Buffer.from(text, 'ascii'))
export const join = (...items) => new Uint8Array(Buffer.concat(items.map((item) => Buffer.from(item))))
export const H = (bytes) => sha256(bytes)
export const digest = (bytes) => b64u(H(bytes))
const same = (left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)) === 0

function bigEndian(number, bytes) {
  const out = new Uint8Array(bytes)
  for (let left = number, at = bytes - 1; left > 0; left = Math.floor(left / 256), at -= 1) out[at] = left % 256
  return out
}

export function LP(...items) {
  return join(
    ...items.flatMap((item) => {
      const bytes = typeof item === 'string' ? ascii(item) : item
      return [bigEndian(bytes.length, 8), bytes]
    }),
  )
}

// -- keys --------------------------------------------------------------------------------------------

const RAW_BYTES = { Ed25519: 32, 'ML-DSA-65': 1952, 'X-Wing': 1216, ES256: 65 }

export function publicKey(alg, raw) {
  const fits = alg === 'PS256' ? raw.length >= 290 && raw.length <= 560 : raw.length === RAW_BYTES[alg]
  if (!fits) throw malformed('key: another length')
  return { alg, raw, kid: b64u(H(LP(alg, raw))) }
}

export const rootDigest = (ed, ml) => b64u(H(LP('hx1/root', ed, ml)))

// -- signatures --------------------------------------------------------------------------------------

const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n
const { Point } = ed25519

const littleEndian = (bytes) => BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`)

// A canonical point that is not of small order, or null.
function point(bytes) {
  try {
    const found = Point.fromBytes(bytes, false)
    return found.isSmallOrder() ? null : found
  } catch {
    return null
  }
}

export function verifyEd25519(key, message, signature) {
  const [R, S] = [signature.subarray(0, 32), littleEndian(signature.subarray(32))]
  const A = point(key)
  if (A === null || point(R) === null || S >= ORDER) return false
  const k = littleEndian(sha512(join(R, key, message))) % ORDER
  const expected = Point.BASE.multiplyUnsafe(S).subtract(A.multiplyUnsafe(k))
  return same(expected.toBytes(), R)
}

export function verifySignature({ alg, raw }, message, signature) {
  const good = alg === 'Ed25519' ? verifyEd25519(raw, message, signature) : ml_dsa65.verify(signature, message, raw)
  if (!good) throw new Refused('SIG_INVALID')
}

// -- X-Wing ------------------------------------------------------------------------------------------

const X_WING_LABEL = Uint8Array.of(0x5c, 0x2e, 0x2f, 0x2f, 0x5e, 0x5c)

export class EncKey {
  constructor(seed) {
    const expanded = shake256(seed, { dkLen: 96 })
    this.mlkem = ml_kem768.keygen(expanded.slice(0, 64))
    this.x = expanded.slice(64)
    this.pkX = x25519.getPublicKey(this.x)
    this.public = publicKey('X-Wing', join(this.mlkem.publicKey, this.pkX))
  }

  decapsulate(enc) {
    const ctX = enc.slice(1088)
    const ssM = ml_kem768.decapsulate(enc.slice(0, 1088), this.mlkem.secretKey)
    return combine(ssM, x25519.getSharedSecret(this.x, ctX), ctX, this.pkX)
  }
}

const combine = (ssM, ssX, ctX, pkX) => sha3_256(join(ssM, ssX, ctX, pkX, X_WING_LABEL))

export function encapsulate(raw) {
  const eph = x25519.utils.randomSecretKey()
  const pkX = raw.slice(1184)
  let kem
  try {
    kem = ml_kem768.encapsulate(raw.slice(0, 1184))
  } catch {
    throw malformed('key: the ML-KEM half is not a key')
  }
  try {
    const ctX = x25519.getPublicKey(eph)
    return { secret: combine(kem.sharedSecret, x25519.getSharedSecret(eph, pkX), ctX, pkX), enc: join(kem.cipherText, ctX) }
  } catch {
    throw new Refused('KEY_WRONG_USE', 'nothing can be sealed to this key')
  }
}

// -- HPKE --------------------------------------------------------------------------------------------

const SUITE = join(ascii('HPKE'), Uint8Array.of(0x64, 0x7a, 0x00, 0x11, 0x00, 0x02))
const P = (bytes) => join(bigEndian(bytes.length, 2), bytes)
const EMPTY = new Uint8Array(0)

export function keySchedule(shared, info) {
  const secrets = join(P(EMPTY), P(shared))
  const context = join(Uint8Array.of(0), P(EMPTY), P(info))
  const labeled = join(secrets, ascii('HPKE-v1'), SUITE, P(ascii('secret')), bigEndian(108, 2), context)
  const secret = shake256(labeled, { dkLen: 108 })
  return { key: secret.slice(0, 32), nonce: secret.slice(32, 44) }
}

export function hpkeOpen(key, sealed, info) {
  try {
    const { key: aead, nonce } = keySchedule(key.decapsulate(sealed.slice(0, 1120)), info)
    return gcm(aead, nonce).decrypt(sealed.slice(1120))
  } catch {
    throw new Refused('DECRYPT_FAILED')
  }
}

export function hpkeSeal(raw, plaintext, info) {
  const { secret, enc } = encapsulate(raw)
  const { key, nonce } = keySchedule(secret, info)
  return join(enc, gcm(key, nonce).encrypt(plaintext))
}

// -- Cobblestone-256 ---------------------------------------------------------------------------------

const CHUNK = 16384
const INFO = join(ascii('c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM'), Uint8Array.of(0))

// RFC 5869 section 2.3 for 76 bytes, two blocks; the key is shorter than the hash, as the page says.
function expand(key, info) {
  const first = hmac(sha512, key, join(info, Uint8Array.of(1)))
  return join(first, hmac(sha512, key, join(first, info, Uint8Array.of(2)))).slice(0, 76)
}

function derive(key, salt, context) {
  const out = expand(key, join(INFO, salt, context))
  return { key: out.slice(0, 32), base: out.slice(32, 44), commitment: out.slice(44) }
}

const nonce = (base, index) => base.map((byte, at) => byte ^ bigEndian(index, 12)[at])

export function cobblestoneOpen(key, ciphertext, context) {
  const { key: ek, base, commitment } = derive(key, ciphertext.slice(0, 24), context)
  if (!same(commitment, ciphertext.slice(24, 56))) throw new Refused('DECRYPT_FAILED')
  const chunks = []
  for (let at = 56; at < ciphertext.length; at += CHUNK + 16) chunks.push(ciphertext.slice(at, at + CHUNK + 16))
  if (chunks.length === 0 || chunks.at(-1).length === CHUNK + 16) throw new Refused('DECRYPT_FAILED')
  try {
    return join(...chunks.map((chunk, index) => gcm(ek, nonce(base, index)).decrypt(chunk)))
  } catch {
    throw new Refused('DECRYPT_FAILED')
  }
}

export function cobblestoneSeal(key, message, context, salt) {
  const { key: ek, base, commitment } = derive(key, salt, context)
  const chunks = []
  for (let at = 0; at <= message.length; at += CHUNK) {
    chunks.push(gcm(ek, nonce(base, at / CHUNK)).encrypt(message.slice(at, at + CHUNK)))
  }
  return join(salt, commitment, ...chunks)
}

export const sealedLength = (size) => 56 + size + 16 * (Math.floor(size / CHUNK) + 1)

// -- padding, contexts -------------------------------------------------------------------------------

export function padme(length) {
  if (length < 2) return length
  const E = Math.floor(Math.log2(length))
  const S = E === 0 ? 0 : Math.floor(Math.log2(E)) + 1
  const step = 2 ** (E - S)
  return Math.ceil(length / step) * step
}

export function pad(value, bucket) {
  const length = bucket ?? padme(value.length + 1)
  if (value.length + 1 > length) throw malformed('the value does not fit')
  const out = new Uint8Array(length)
  out.set(value)
  out[value.length] = 0x80
  return out
}

export function unpad(data, bucket) {
  let end = data.length - 1
  while (end >= 0 && data[end] === 0) end -= 1
  if (end < 0 || data[end] !== 0x80 || data.length !== (bucket ?? padme(end + 1))) throw new Refused('DECRYPT_FAILED')
  return data.slice(0, end)
}

export const partContext = ({ origin, eid, p, field, schema, sender }) =>
  H(LP('hx1/part', origin, eid, p, field, String(schema), sender))

// -- keys that the directory may take ----------------------------------------------------------------

const ALGS = { root: ['Ed25519', 'ML-DSA-65'], envelope: ['Ed25519'], approver: ['Ed25519'], enc: ['X-Wing'], auth: ['ES256', 'PS256'], operator: ['Ed25519'] }
const PRIME = 2n ** 255n - 19n

export function checkUsable(use, { alg, raw }) {
  if (!ALGS[use].includes(alg)) throw new Refused('KEY_WRONG_USE')
  if (alg === 'Ed25519') {
    const found = point(raw)
    if (found === null || !found.isTorsionFree()) throw malformed('key: not a point of the main subgroup')
  } else if (alg === 'X-Wing') {
    if (littleEndian(raw.slice(1184)) >= PRIME) throw malformed('key: the X25519 half is not reduced')
    encapsulate(raw)
  } else if (alg === 'ES256') {
    try {
      if (raw[0] !== 4) throw malformed('key: not uncompressed')
      p256.Point.fromBytes(raw).assertValidity()
    } catch {
      throw malformed('key: not a point of P-256')
    }
  } else if (alg === 'PS256') {
    checkRsa(raw)
  }
}

function checkRsa(raw) {
  let key
  try {
    key = createPublicKey({ key: Buffer.from(raw), format: 'der', type: 'spki' })
  } catch {
    throw malformed('key: not an RSA key')
  }
  const { modulusLength: bits, publicExponent } = key.asymmetricKeyDetails
  const canonical = key.export({ format: 'der', type: 'spki' })
  if (key.asymmetricKeyType !== 'rsa' || bits < 2048 || bits > 4096 || publicExponent !== 65537n || !same(canonical, raw)) {
    throw malformed('key: not an RSA key of this exchange')
  }
}
