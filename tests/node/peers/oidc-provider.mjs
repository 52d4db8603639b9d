// oidc-provider with its own memory adapter: client credentials, private_key_jwt, DPoP, RFC 9068 tokens.
// PEER_CONFIG: {port, workers, issuer, scope, clients: [{client_id, jwk}]}. One process for each worker.
import cluster from 'node:cluster'
import { Provider } from 'oidc-provider'

const given = JSON.parse(process.env.PEER_CONFIG)

if (cluster.isPrimary) {
  // One signing key for all processes, as ours have.
  const { privateKey } = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])
  const signing = { ...(await crypto.subtle.exportKey('jwk', privateKey)), kid: 'current', alg: 'ES256', use: 'sig' }
  delete signing.key_ops
  delete signing.ext
  for (let n = 0; n < given.workers; n += 1) cluster.fork({ PEER_KEY: JSON.stringify(signing) })
  process.on('SIGTERM', () => {
    for (const worker of Object.values(cluster.workers)) worker.kill()
    process.exit(0)
  })
} else {
  const server = {
    scope: given.scope,
    audience: given.issuer,
    accessTokenFormat: 'jwt',
    accessTokenTTL: 300,
    jwt: { sign: { alg: 'ES256' } },
  }
  const provider = new Provider(given.issuer, {
    clients: given.clients.map(({ client_id, jwk }) => ({
      client_id,
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'ES256',
      id_token_signed_response_alg: 'ES256',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      jwks: { keys: [jwk] },
    })),
    jwks: { keys: [JSON.parse(process.env.PEER_KEY)] },
    clientAuthMethods: ['private_key_jwt'],
    scopes: given.scope.split(' '),
    routes: { token: '/oauth/token' },
    features: {
      clientCredentials: { enabled: true },
      dPoP: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => given.issuer,
        getResourceServerInfo: () => server,
      },
    },
  })
  provider.listen(given.port, '127.0.0.1')
}
