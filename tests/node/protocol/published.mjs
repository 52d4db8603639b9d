// Published vectors, read from the folder given: how many CCTV Ed25519 cases verify, whether the JOSE HPKE-9-KE
// example and the IETF's X-Wing cases open. Printed as JSON.

import { readFileSync } from 'node:fs'
import { join as path } from 'node:path'

import { EncKey, hpkeOpen, verifyEd25519 } from './src/crypto.mjs'

const folder = process.argv[2]
const load = (name) => JSON.parse(readFileSync(path(folder, name), 'utf8'))
const hex = (text) => new Uint8Array(Buffer.from(text, 'hex'))
const unpadded = (text) => new Uint8Array(Buffer.from(text, 'base64url'))

const accepted = load('ed25519-cctv/ed25519vectors.json').filter((one) => {
  return verifyEd25519(hex(one.key), new Uint8Array(Buffer.from(one.msg, 'utf8')), hex(one.sig))
})

const jwk = load('jose-hpke/HPKE-9-KE.jwk.json')
const message = load('jose-hpke/HPKE-9-KE-flattened.json')
const header = JSON.parse(Buffer.from(message.protected, 'base64url').toString())
const key = new EncKey(unpadded(jwk.priv))
const sealed = Buffer.concat([unpadded(header.ek), unpadded(message.encrypted_key)])
const info = Buffer.concat([Buffer.from('JOSE-HPKE rcpt'), Buffer.of(0xff), Buffer.from('A256GCM'), Buffer.of(0xff)])
const opened = hpkeOpen(key, new Uint8Array(sealed), new Uint8Array(info))

const xwing = load('hpke-pq/test-vectors.json').filter((one) => one.kem_id === 0x647a)
const shared = xwing.map((one) => {
  const own = new EncKey(hex(one.skRm))
  const secret = Buffer.from(own.decapsulate(hex(one.enc))).toString('hex')
  return Buffer.from(own.public.raw).toString('hex') === one.pkRm && secret === one.shared_secret
})

process.stdout.write(
  JSON.stringify({
    accepted: accepted.length,
    flags: [...new Set(accepted.flatMap((one) => one.flags ?? []))],
    jose: Buffer.from(key.public.raw).equals(Buffer.from(unpadded(jwk.pub))) && opened.length === 32,
    xwing: shared,
  }),
)
