// openid-client drives every grant against a running Gatepost.
import * as client from 'openid-client'
import { alice, api, assert, callback, client as newClient, demo, issuer, Person, run, test } from './driver.mjs'

const insecure = { execute: [client.allowInsecureRequests] }
const { confidential, public: open } = demo.clients
const discover = (id, metadata, auth) => client.discovery(new URL(issuer), id, metadata, auth, insecure)
const asConfidential = () => discover(confidential.client_id, undefined, client.ClientSecretBasic(confidential.client_secret))

/** signIn runs the code flow and returns the tokens. */
async function signIn (config, more = {}, { par = false, options } = {}) {
  const verifier = client.randomPKCECodeVerifier()
  const state = client.randomState()
  const nonce = client.randomNonce()
  const parameters = {
    redirect_uri: callback, scope: 'openid profile email offline_access', state, nonce,
    code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...more
  }
  const url = par ? await client.buildAuthorizationUrlWithPAR(config, parameters, options) : client.buildAuthorizationUrl(config, parameters)
  const back = await new Person().visit(url)
  assert.ok(back instanceof URL, `no way back: ${back}`)
  return client.authorizationCodeGrant(config, back, { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true }, undefined, options)
}

test('code, PKCE, nonce, userinfo, for each way of client authentication', async () => {
  const secret = 'a secret of the judges, long enough'
  const keys = await client.randomDPoPKeyPair('ES256', { extractable: true })
  const jwk = await crypto.subtle.exportKey('jwk', keys.publicKey)
  for (const [method, members, auth] of [
    ['client_secret_basic', {}, client.ClientSecretBasic(secret)],
    ['client_secret_post', {}, client.ClientSecretPost(secret)],
    ['client_secret_jwt', {}, client.ClientSecretJwt(secret)],
    ['private_key_jwt', { jwks: { keys: [{ ...jwk, kid: 'k', use: 'sig', alg: 'ES256' }] } }, client.PrivateKeyJwt({ key: keys.privateKey, kid: 'k' })],
    ['none', { client_secret: undefined }, client.None()]
  ]) {
    const made = await newClient({ client_name: method, token_endpoint_auth_method: method, client_secret: secret, ...members })
    const config = await discover(made.client_id, undefined, auth)
    const tokens = await signIn(config)
    assert.equal(tokens.claims().email, alice.identifier, method)
    const person = await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub)
    assert.equal(person.email, alice.identifier, method)
  }
})

test('refresh, and the same again within the grace', async () => {
  const config = await asConfidential()
  const first = await signIn(config)
  const second = await client.refreshTokenGrant(config, first.refresh_token)
  const again = await client.refreshTokenGrant(config, first.refresh_token)
  assert.notEqual(second.refresh_token, first.refresh_token)
  assert.equal(again.refresh_token, second.refresh_token)
  const narrow = await client.refreshTokenGrant(config, second.refresh_token, { scope: 'openid' })
  assert.equal(narrow.scope, 'openid')
})

test('client credentials, introspection, revocation', async () => {
  const config = await asConfidential()
  const tokens = await client.clientCredentialsGrant(config, { scope: 'introspect_tokens' })
  assert.equal((await client.tokenIntrospection(config, tokens.access_token)).active, true)
  await client.tokenRevocation(config, tokens.access_token)
  assert.deepEqual(await client.tokenIntrospection(config, tokens.access_token), { active: false })
})

test('a revoked refresh token ends its family', async () => {
  const config = await asConfidential()
  const tokens = await signIn(config)
  await client.tokenRevocation(config, tokens.refresh_token)
  await assert.rejects(client.refreshTokenGrant(config, tokens.refresh_token), { error: 'invalid_grant' })
  await assert.rejects(client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub))
})

test('pushed authorization request', async () => {
  const tokens = await signIn(await asConfidential(), {}, { par: true })
  assert.equal(tokens.claims().email, alice.identifier)
})

test('DPoP, with a pushed request and a public client', async () => {
  const config = await discover(open.client_id, undefined, client.None())
  const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
  const tokens = await signIn(config, {}, { par: true, options: { DPoP } })
  assert.equal(tokens.token_type, 'dpop')
  assert.equal((await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub, { DPoP })).email, alice.identifier)
  await assert.rejects(client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub), 'a bound token as Bearer')
  const next = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP })
  assert.equal(next.token_type, 'dpop')
  const stranger = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
  await assert.rejects(client.refreshTokenGrant(config, next.refresh_token, undefined, { DPoP: stranger }), 'somebody else\'s key')
})

test('device authorization', async () => {
  const config = await discover(open.client_id, undefined, client.None())
  const device = await client.initiateDeviceAuthorization(config, { scope: 'openid email' })
  const polling = client.pollDeviceAuthorizationGrant(config, { ...device, interval: 1 })
  const page = await new Person().visit(device.verification_uri_complete, {
    identifier: alice.identifier, password: alice.password, user_code: device.user_code, action: 'allow'
  })
  assert.equal(typeof page, 'string')
  assert.equal((await polling).claims().email, alice.identifier)
})

test('JWT bearer and token exchange', async () => {
  const keys = await client.randomDPoPKeyPair('ES256', { extractable: true })
  const jwk = await crypto.subtle.exportKey('jwk', keys.publicKey)
  const made = await newClient({ token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [{ ...jwk, kid: 'k', alg: 'ES256' }] } })
  const config = await discover(made.client_id, undefined, client.PrivateKeyJwt({ key: keys.privateKey, kid: 'k' }))
  const now = Math.floor(Date.now() / 1000)
  const part = o => Buffer.from(JSON.stringify(o)).toString('base64url')
  const signed = `${part({ alg: 'ES256', kid: 'k' })}.${part({ iss: made.client_id, sub: made.client_id, aud: issuer, exp: now + 60, iat: now, jti: client.randomState() })}`
  const signature = await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, keys.privateKey, Buffer.from(signed))
  const assertion = `${signed}.${Buffer.from(signature).toString('base64url')}`
  const own = await client.genericGrantRequest(config, 'urn:ietf:params:oauth:grant-type:jwt-bearer', { assertion, scope: 'introspect_tokens' })
  assert.equal(own.token_type, 'bearer')
  const person = await signIn(config)
  const exchanged = await client.genericGrantRequest(config, 'urn:ietf:params:oauth:grant-type:token-exchange', {
    subject_token: person.access_token, subject_token_type: 'urn:ietf:params:oauth:token-type:access_token', scope: 'openid email'
  })
  assert.equal(exchanged.issued_token_type, 'urn:ietf:params:oauth:token-type:access_token')
  assert.equal((await client.tokenIntrospection(config, exchanged.access_token)).sub, person.claims().sub)
})

test('dynamic registration', async () => {
  const at = `/servers/${demo.workspace}`
  const space = await api('GET', at)
  await api('PUT', at, { ...space, dynamic_client_registration: { ...space.dynamic_client_registration, enabled: true } })
  const config = await client.dynamicClientRegistration(new URL(issuer), { redirect_uris: [callback], client_name: 'Judge' }, undefined, insecure)
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: callback, scope: 'openid', code_challenge: await client.calculatePKCECodeChallenge('v'.repeat(43)), code_challenge_method: 'S256'
  })
  const page = await new Person().visit(url)
  assert.match(page, /Judge/, 'a registered client is not trusted: the person is asked')
})

test('code reuse, and the wrong verifier, are refused', async () => {
  const config = await asConfidential()
  const verifier = client.randomPKCECodeVerifier()
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: callback, scope: 'openid', code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256'
  })
  const back = await new Person().visit(url)
  const redeem = pkceCodeVerifier => client.authorizationCodeGrant(config, back, { pkceCodeVerifier })
  await assert.rejects(redeem(client.randomPKCECodeVerifier()), { error: 'invalid_grant' })
  const tokens = await redeem(verifier)
  await assert.rejects(redeem(verifier), { error: 'invalid_grant' })
  await assert.rejects(client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub), 'what a code gave ends when it is used again')
})

test('signing out', async () => {
  const config = await asConfidential()
  const tokens = await signIn(config)
  const url = client.buildEndSessionUrl(config, { id_token_hint: tokens.id_token, post_logout_redirect_uri: callback, state: 'over' })
  const back = await new Person().visit(url)
  assert.ok(back instanceof URL && back.searchParams.get('state') === 'over', String(back))
})

await run()
