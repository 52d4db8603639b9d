// Seals a grant from docs/protocol.md alone: {core, key, fields: {name: plaintext}} on stdin, as hex and JSON;
// {core, sealed, parts} on stdout. Used by tests/vectors/test_second_implementation.py.

import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'

import { bucketOf } from './src/catalogue.mjs'
import { b64u, unb64u } from './src/codec.mjs'
import { H, LP, cobblestoneSeal, digest, hpkeSeal, join, pad, partContext } from './src/crypto.mjs'

const { core, key, fields } = JSON.parse(readFileSync(0, 'utf8'))
const parts = []
const keys = []
const ciphertexts = {}
for (const [field, plaintext] of Object.entries(fields)) {
  const [p, K] = [b64u(randomBytes(16)), new Uint8Array(randomBytes(32))]
  const ctx = partContext({ ...core, p, field, schema: core.sch, sender: core.snd })
  const padded = pad(unb64u(plaintext), bucketOf(field))
  const ciphertext = cobblestoneSeal(K, padded, ctx, new Uint8Array(randomBytes(24)))
  ciphertexts[digest(ciphertext)] = b64u(ciphertext)
  parts.push({ p, f: field, len: ciphertext.length, sha256: digest(ciphertext) })
  keys.push(K)
}
// Any spelling is good: what is sealed are these bytes.
const bytes = new Uint8Array(Buffer.from(JSON.stringify({ parts, ...core }, null, 1)))
const sealed = hpkeSeal(unb64u(key), join(...keys), H(LP('hx1/grant', bytes)))
process.stdout.write(JSON.stringify({ core: b64u(bytes), sealed: b64u(sealed), parts: ciphertexts }))
