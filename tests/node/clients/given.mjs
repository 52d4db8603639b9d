// What the Python test hands over on standard input, and the keys in it.
import { text } from 'node:stream/consumers'

export const given = JSON.parse(await text(process.stdin))

const ALGORITHMS = {
  ES256: { name: 'ECDSA', namedCurve: 'P-256' },
  PS256: { name: 'RSA-PSS', hash: 'SHA-256' },
}

export function clientKey(alg) {
  const { kid, pkcs8 } = given.keys[alg]
  const der = Buffer.from(pkcs8, 'base64')
  return crypto.subtle
    .importKey('pkcs8', der, ALGORITHMS[alg], false, ['sign'])
    .then((key) => ({ kid, key }))
}

// A pair for DPoP proofs. RSA keys of 2,048 bits, which these libraries make, are refused (ADR 49).
export function proofPair(alg, generate) {
  if (alg !== 'PS256') return generate(alg)
  const rsa = { ...ALGORITHMS[alg], modulusLength: 3072, publicExponent: new Uint8Array([1, 0, 1]) }
  return crypto.subtle.generateKey(rsa, false, ['sign', 'verify'])
}

export function* combinations() {
  for (const discovery of ['oauth2', 'oidc'])
    for (const client of ['ES256', 'PS256'])
      for (const dpop of ['ES256', 'PS256']) yield { discovery, client, dpop }
}
