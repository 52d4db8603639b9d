// Secrets of the vectors: SHA-256 of "homeward vector " and a label.

import { ed25519 } from '@noble/curves/ed25519.js'
import { ml_dsa65 } from '@noble/post-quantum/ml-dsa.js'

import { EncKey, H, publicKey } from './crypto.mjs'

export const seed = (label) => H(new Uint8Array(Buffer.from(`homeward vector ${label}`)))

export function publicOf(alg, label) {
  if (alg === 'X-Wing') return new EncKey(seed(label)).public
  if (alg === 'ML-DSA-65') return publicKey(alg, ml_dsa65.keygen(seed(label)).publicKey)
  return publicKey(alg, ed25519.getPublicKey(seed(label)))
}
