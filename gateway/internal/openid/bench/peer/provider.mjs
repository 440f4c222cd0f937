// npm oidc-provider as its makers ship it: one confidential client that may use
// client_credentials, access tokens as JWTs signed by ES256, everything in memory.
//
//	node provider.mjs PORT CLIENT SECRET WORKERS     WORKERS 0: no cluster
import cluster from 'node:cluster'
import { generateKeyPairSync } from 'node:crypto'
import { Provider } from 'oidc-provider'

const [port, id, secret, workers] = process.argv.slice(2)
process.env.BENCH_KEY ??= JSON.stringify(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }))

if (cluster.isPrimary && workers > 0) {
  for (let i = 0; i < workers; i++) cluster.fork() // with this environment, so with one key for all
} else {
  const resource = 'urn:bench:api'
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    clients: [{
      client_id: id, client_secret: secret, token_endpoint_auth_method: 'client_secret_basic',
      grant_types: ['client_credentials'], response_types: [], redirect_uris: [], id_token_signed_response_alg: 'ES256',
    }],
    cookies: { keys: ['bench'] },
    jwks: { keys: [{ ...JSON.parse(process.env.BENCH_KEY), kid: 'k', use: 'sig', alg: 'ES256' }] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        getResourceServerInfo: () => ({ scope: 'read', audience: resource, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } }),
      },
    },
  })
  provider.listen(port, '127.0.0.1')
}
