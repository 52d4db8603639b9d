// oauth4webapi as it is, on both sides: as a client, and as a resource server that is shown our token.
import * as oauth from 'oauth4webapi'
import { clientKey, combinations, given } from './given.mjs'

const insecure = { [oauth.allowInsecureRequests]: true } // plain HTTP on this machine
const results = []

// A server may ask for a nonce once; the handle keeps it for the next try.
async function withNonce(attempt) {
  try {
    return await attempt()
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error
    return attempt()
  }
}

for (const { discovery, client: clientAlg, dpop: dpopAlg } of combinations()) {
  const issuer = new URL(given.issuer)
  const found = await oauth.discoveryRequest(issuer, { algorithm: discovery, ...insecure })
  const as = await oauth.processDiscoveryResponse(issuer, found)
  const client = { client_id: given.client_id }
  const auth = oauth.PrivateKeyJwt(await clientKey(clientAlg))
  const DPoP = oauth.DPoP(client, await oauth.generateKeyPair(dpopAlg))

  const token = await withNonce(async () => {
    const parameters = { scope: given.scope }
    const answer = await oauth.clientCredentialsGrantRequest(as, client, auth, parameters, { DPoP, ...insecure })
    return oauth.processClientCredentialsResponse(as, client, answer)
  })

  const url = new URL(given.url)
  const call = () => oauth.protectedResourceRequest(token.access_token, 'GET', url, undefined, null, { DPoP, ...insecure })
  const response = await withNonce(call)
  const body = await response.json()

  // The same request, caught before it is sent, shown to the library's own resource server.
  let shown
  const caught = async (address, options) => {
    shown = new Request(address, { method: options.method, headers: options.headers })
    return new Response('{}')
  }
  await oauth.protectedResourceRequest(token.access_token, 'GET', url, undefined, null, {
    DPoP,
    [oauth.customFetch]: caught,
    ...insecure,
  })
  const check = { requireDPoP: true, ...insecure }
  const claims = await oauth.validateJwtAccessToken(as, shown, given.issuer, check)
  const bearer = new Request(url, { headers: { Authorization: `Bearer ${token.access_token}` } })
  const asBearer = await oauth.validateJwtAccessToken(as, bearer, given.issuer, check).then(
    () => 'accepted',
    (error) => error.message,
  )

  const revoked = await oauth.revocationRequest(as, client, auth, token.access_token, insecure)
  await oauth.processRevocationResponse(revoked)
  const refused = await withNonce(call).then(
    (late) => late.status,
    (error) => error.status,
  )
  results.push({
    discovery,
    client: clientAlg,
    dpop: dpopAlg,
    issuer: as.issuer,
    token_type: token.token_type,
    expires_in: token.expires_in,
    scope: token.scope,
    status: response.status,
    body,
    claims,
    as_bearer: asBearer,
    refused,
  })
}
console.log(JSON.stringify(results))
