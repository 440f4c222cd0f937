// What every judge needs: the demo it talks to, its API, and somebody who signs in.
import { webcrypto } from 'node:crypto'
import assert from 'node:assert/strict'

globalThis.crypto ??= webcrypto // Node 18 does not say so by itself
globalThis.CryptoKey ??= webcrypto.CryptoKey

/** demo is what `gatepost demo` wrote into demo.json. */
export const demo = JSON.parse(process.env.GATEPOST_DEMO)
export const issuer = `${demo.base_url}/${demo.tenant}/${demo.workspace}`
export const callback = 'http://127.0.0.1:5/callback'
export const [alice] = demo.users

const known = []

/** test adds a named test; run runs them in turn and ends the process with 1 if one failed. */
export function test (name, fn) { known.push({ name, fn }) }

async function within (milliseconds, promise) {
  let timer
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`no end within ${milliseconds} ms`)), milliseconds) })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

export async function run () {
  let failed = 0
  for (const { name, fn } of known) {
    try {
      await within(30_000, fn())
      console.log(`ok   ${name}`)
    } catch (e) {
      failed++
      console.log(`FAIL ${name}: ${e.stack ?? e}\n     ${e.error ?? ''} ${e.error_description ?? ''} ${JSON.stringify(e.cause) ?? ''}`)
    }
  }
  process.exit(failed > 0 ? 1 : 0)
}

/** token returns a token of one of the demo's own API clients. */
async function token ({ client_id: id, client_secret: secret, token_url: url }) {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { authorization: 'Basic ' + Buffer.from(`${id}:${secret}`).toString('base64') },
    body: new URLSearchParams({ grant_type: 'client_credentials' })
  })
  assert.equal(answer.status, 200)
  return (await answer.json()).access_token
}

let admin
/** api calls the administration API of the demo's tenant. */
export async function api (method, path, body) {
  admin ??= await token(demo.clients.admin)
  const answer = await fetch(`${demo.base_url}/api/admin/${demo.tenant}${path}`, {
    method, headers: { authorization: `Bearer ${admin}`, 'content-type': 'application/json' }, body: body && JSON.stringify(body)
  })
  const text = await answer.text()
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`)
  return text ? JSON.parse(text) : undefined
}

/** client makes a client of the demo's workspace. */
export function client (members) {
  return api('POST', '/clients', {
    authorization_server_id: demo.workspace, redirect_uris: [callback], trusted: true,
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials', 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      'urn:ietf:params:oauth:grant-type:device_code', 'urn:ietf:params:oauth:grant-type:token-exchange'],
    scopes: ['openid', 'profile', 'email', 'offline_access', 'introspect_tokens'],
    ...members
  })
}

const unescape = s => s.replaceAll('&#43;', '+').replaceAll('&#39;', "'").replaceAll('&#34;', '"').replaceAll('&quot;', '"').replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&')
const attribute = (tag, name) => {
  const found = tag.match(new RegExp(`\\s${name}="([^"]*)"`))
  return found ? unescape(found[1]) : undefined
}

/** Person is a browser without a screen: cookies, redirects and forms. */
export class Person {
  #cookies = new Map()

  async #ask (url, options = {}) {
    const headers = { ...options.headers, cookie: [...this.#cookies].map(([k, v]) => `${k}=${v}`).join('; ') }
    const answer = await fetch(url, { ...options, headers, redirect: 'manual' })
    for (const line of answer.headers.getSetCookie()) {
      const [pair, ...about] = line.split(';')
      const at = pair.indexOf('=')
      if (about.some(a => /^\s*max-age=(0|-)/i.test(a))) this.#cookies.delete(pair.slice(0, at))
      else this.#cookies.set(pair.slice(0, at), pair.slice(at + 1))
    }
    return answer
  }

  /**
   * visit follows redirects from url and fills in forms with what fill holds by field
   * name, until a redirect leaves for another origin, whose URL it returns, or a page
   * has no form that was not sent before: then it returns the page's text.
   */
  async visit (url, fill = { identifier: alice.identifier, password: alice.password }) {
    let at = new URL(url)
    let options
    for (let step = 0; step < 20; step++) {
      const answer = await this.#ask(at, options)
      options = undefined
      const location = answer.headers.get('location')
      if (location) {
        at = new URL(location, at)
        if (at.origin !== new URL(demo.base_url).origin) return at
        continue
      }
      const text = await answer.text()
      const form = this.#form(text, at, fill)
      if (!form) return text
      at = form.action
      options = { method: 'POST', body: form.body, headers: { origin: new URL(demo.base_url).origin, 'sec-fetch-site': 'same-origin' } }
    }
    throw new Error(`no end of redirects at ${at}`)
  }

  /** #form picks the form that holds every field to fill, or a button to press. */
  #form (text, at, fill) {
    for (const [whole, head] of text.matchAll(/<form([^>]*)>[\s\S]*?<\/form>/g)) {
      const body = new URLSearchParams()
      let wanted = 0
      for (const [tag] of whole.matchAll(/<input[^>]*>/g)) {
        const name = attribute(tag, 'name')
        if (!name) continue
        if (name in fill) wanted++
        body.set(name, fill[name] ?? attribute(tag, 'value') ?? '')
      }
      for (const [tag] of whole.matchAll(/<button[^>]*>/g)) {
        const name = attribute(tag, 'name')
        if (name && fill[name] === attribute(tag, 'value')) {
          wanted++
          body.set(name, fill[name])
        }
      }
      if (wanted > 0) return { action: new URL(attribute(head, 'action') ?? '', at), body }
    }
  }
}

export { assert }
