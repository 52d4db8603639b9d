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

export function* combinations() {
  for (const discovery of ['oauth2', 'oidc'])
    for (const client of ['ES256', 'PS256'])
      for (const dpop of ['ES256', 'PS256']) yield { discovery, client, dpop }
}
