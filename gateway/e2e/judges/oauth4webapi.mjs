// oauth4webapi, which believes nothing, checks every answer on its way.
import * as oauth from 'oauth4webapi'
import { alice, assert, callback, client as newClient, demo, issuer, Person, run, test } from './driver.mjs'

const insecure = { [oauth.allowInsecureRequests]: true }
const { confidential } = demo.clients
const me = { client_id: confidential.client_id }
const auth = oauth.ClientSecretBasic(confidential.client_secret)
const as = await oauth.processDiscoveryResponse(new URL(issuer), await oauth.discoveryRequest(new URL(issuer), insecure))

/** signIn runs the code flow with state, nonce, iss and PKCE. */
async function signIn (who = me, by = auth, more = {}, options = insecure) {
  const verifier = oauth.generateRandomCodeVerifier()
  const state = oauth.generateRandomState()
  const nonce = oauth.generateRandomNonce()
  const url = new URL(as.authorization_endpoint)
  url.search = new URLSearchParams({
    client_id: who.client_id, redirect_uri: callback, response_type: 'code', scope: 'openid email offline_access', state, nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...more
  })
  const back = await new Person().visit(url)
  assert.ok(back instanceof URL, `no way back: ${back}`)
  const answer = oauth.validateAuthResponse(as, who, back, state) // iss by RFC 9207
  const response = await oauth.authorizationCodeGrantRequest(as, who, by, answer, callback, verifier, options)
  return oauth.processAuthorizationCodeResponse(as, who, response, { expectedNonce: nonce, requireIdToken: true })
}

test('code flow, ID token and its signature, userinfo', async () => {
  const tokens = await signIn()
  const claims = oauth.getValidatedIdTokenClaims(tokens)
  const answer = await oauth.userInfoRequest(as, me, tokens.access_token, insecure)
  assert.equal((await oauth.processUserInfoResponse(as, me, claims.sub, answer)).email, alice.identifier)
})

test('max_age and auth_time', async () => {
  const verifier = oauth.generateRandomCodeVerifier()
  const url = new URL(as.authorization_endpoint)
  url.search = new URLSearchParams({
    client_id: me.client_id, redirect_uri: callback, response_type: 'code', scope: 'openid', max_age: '100',
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256'
  })
  const answer = oauth.validateAuthResponse(as, me, await new Person().visit(url), oauth.expectNoState)
  const response = await oauth.authorizationCodeGrantRequest(as, me, auth, answer, callback, verifier, insecure)
  await oauth.processAuthorizationCodeResponse(as, me, response, { maxAge: 100, requireIdToken: true })
})

test('access tokens are those of RFC 9068', async () => {
  const tokens = await signIn()
  const request = new Request('https://api.example/', { headers: { authorization: `Bearer ${tokens.access_token}` } })
  const claims = await oauth.validateJwtAccessToken(as, request, me.client_id, insecure)
  assert.equal(claims.client_id, me.client_id)
})

test('refresh', async () => {
  const tokens = await signIn()
  const response = await oauth.refreshTokenGrantRequest(as, me, auth, tokens.refresh_token, insecure)
  const next = await oauth.processRefreshTokenResponse(as, me, response)
  assert.ok(next.refresh_token && next.refresh_token !== tokens.refresh_token)
})

test('client credentials, introspection, revocation', async () => {
  const response = await oauth.clientCredentialsGrantRequest(as, me, auth, { scope: 'introspect_tokens' }, insecure)
  const tokens = await oauth.processClientCredentialsResponse(as, me, response)
  const look = async () => oauth.processIntrospectionResponse(as, me, await oauth.introspectionRequest(as, me, auth, tokens.access_token, insecure))
  assert.equal((await look()).active, true)
  await oauth.processRevocationResponse(await oauth.revocationRequest(as, me, auth, tokens.access_token, insecure))
  assert.deepEqual(await look(), { active: false })
})

test('pushed authorization request with DPoP', async () => {
  const DPoP = oauth.DPoP(me, await oauth.generateKeyPair('ES256'))
  const verifier = oauth.generateRandomCodeVerifier()
  const parameters = new URLSearchParams({
    client_id: me.client_id, redirect_uri: callback, response_type: 'code', scope: 'openid email',
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256'
  })
  const pushed = await oauth.processPushedAuthorizationResponse(as, me, await oauth.pushedAuthorizationRequest(as, me, auth, parameters, { ...insecure, DPoP }))
  const url = new URL(as.authorization_endpoint)
  url.search = new URLSearchParams({ client_id: me.client_id, request_uri: pushed.request_uri })
  const answer = oauth.validateAuthResponse(as, me, await new Person().visit(url), oauth.expectNoState)
  const response = await oauth.authorizationCodeGrantRequest(as, me, auth, answer, callback, verifier, { ...insecure, DPoP })
  const tokens = await oauth.processAuthorizationCodeResponse(as, me, response, { requireIdToken: true })
  assert.equal(tokens.token_type, 'dpop')
  const person = await oauth.userInfoRequest(as, me, tokens.access_token, { ...insecure, DPoP })
  assert.equal(person.status, 200)
})

test('a wrong secret is told how to authenticate', async () => {
  const response = await oauth.clientCredentialsGrantRequest(as, me, oauth.ClientSecretBasic('wrong'), {}, insecure)
  await assert.rejects(oauth.processClientCredentialsResponse(as, me, response), e => {
    assert.equal(response.status, 401)
    assert.match(response.headers.get('www-authenticate'), /^Basic /)
    return true
  })
})

test('prompt=none without a session', async () => {
  const url = new URL(as.authorization_endpoint)
  url.search = new URLSearchParams({
    client_id: me.client_id, redirect_uri: callback, response_type: 'code', scope: 'openid', prompt: 'none', state: 's',
    code_challenge: await oauth.calculatePKCECodeChallenge('v'.repeat(43)), code_challenge_method: 'S256'
  })
  const back = await new Person().visit(url)
  assert.throws(() => oauth.validateAuthResponse(as, me, back, 's'), { error: 'login_required' })
})

test('userinfo signed, RS256 ID token, pairwise subject', async () => {
  const made = await newClient({
    token_endpoint_auth_method: 'none', id_token_signed_response_alg: 'RS256', userinfo_signed_response_alg: 'RS256', subject_type: 'pairwise'
  })
  const who = { client_id: made.client_id, id_token_signed_response_alg: 'RS256', userinfo_signed_response_alg: 'RS256' }
  const tokens = await signIn(who, oauth.None())
  const { sub } = oauth.getValidatedIdTokenClaims(tokens)
  const answer = await oauth.userInfoRequest(as, who, tokens.access_token, insecure)
  assert.equal((await oauth.processUserInfoResponse(as, who, sub, answer)).sub, sub)
  assert.notEqual(sub, oauth.getValidatedIdTokenClaims(await signIn()).sub)
})

await run()
