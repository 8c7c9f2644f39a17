// Requests to the service: its answers, or the sentence that says why there is none.

const PATIENCE = 30000
const KEY = 'thimble-token'

export class Refused extends Error {
  constructor(status, sentence) { super(sentence); this.status = status }
}

const kept = (() => { try { return sessionStorage } catch { return null } })()
let token = kept?.getItem(KEY) ?? ''
/** The token, kept until this tab is closed. */
export const auth = {
  get token() { return token },
  set token(given) {
    token = given.trim().replace(/^bearer\s+/i, '')
    try { token ? kept?.setItem(KEY, token) : kept?.removeItem(KEY) } catch { /* it is kept until the page is left */ }
  },
}

/** The service's address: the folder of this page, with any stage or domain. */
export const here = new URL('.', location.href.split(/[?#]/)[0])
export const address = (path) => new URL(path, here).href
export const query = (given) => {
  const found = Object.entries(given).filter(([, value]) => value).map(([key, value]) => `${key}=${encodeURIComponent(value)}`)
  return found.length ? `?${found.join('&')}` : ''
}

/** Return the response if its status is 2xx; otherwise throw Refused with a sentence. */
export async function ask(path, { headers = {}, ...options } = {}) {
  const sent = { ...headers, ...(token && { authorization: `Bearer ${token}` }) }
  let response
  try {
    response = await fetch(address(path), { signal: AbortSignal.timeout(PATIENCE), ...options, headers: sent })
  } catch (error) {
    throw new Refused(0, error.name === 'TimeoutError' ? 'The service takes too long to answer.' : 'The service cannot be reached.')
  }
  if (response.ok) return response
  const body = await response.json().catch(() => ({}))
  throw new Refused(response.status, body.error ?? STATUS[response.status] ?? `The service answers with status ${response.status}.`)
}
export const json = async (path, options) => {
  const response = await ask(path, options)
  try { return await response.json() } catch { throw new Refused(0, 'The answer broke off.') }
}

const STATUS = {
  401: 'The service asks for a token.',
  403: 'The service does not let this page ask it.',
  429: 'The service is busy: too many requests for the moment.',
  500: 'The service failed.',
  502: 'The service failed.',
  503: 'The service is not available for the moment.',
  504: 'The service takes too long to answer.',
}
