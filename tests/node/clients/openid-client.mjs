// openid-client as it is: discover, get a bound token, call the API with it, revoke it, call again.
import * as client from 'openid-client'
import { clientKey, combinations, given } from './given.mjs'

const insecure = { execute: [client.allowInsecureRequests] } // plain HTTP on this machine
const results = []

for (const { discovery, client: clientAlg, dpop: dpopAlg } of combinations()) {
  const auth = client.PrivateKeyJwt(await clientKey(clientAlg))
  const server = new URL(given.issuer)
  const config = await client.discovery(server, given.client_id, undefined, auth, {
    algorithm: discovery,
    ...insecure,
  })
  const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair(dpopAlg))
  const token = await client.clientCredentialsGrant(config, { scope: given.scope, resource: given.issuer }, { DPoP })
  const call = () =>
    client.fetchProtectedResource(config, token.access_token, new URL(given.url), 'GET', null, undefined, { DPoP })
  const response = await call()
  const body = await response.json()
  await client.tokenRevocation(config, token.access_token)
  const refused = await call().then(
    (late) => late.status,
    (error) => error.status,
  )
  results.push({
    discovery,
    client: clientAlg,
    dpop: dpopAlg,
    issuer: config.serverMetadata().issuer,
    token_type: token.token_type,
    expires_in: token.expiresIn(),
    scope: token.scope,
    status: response.status,
    body,
    refused,
  })
}
console.log(JSON.stringify(results))
