// Uploads: send a file that is too large for a request to the inbox by a presigned form, then poll its state.
import { $, button, el, name, say } from './dom.js'
import { json, query } from './service.js'
import { bytes, percent, sentence, whole } from './text.js'

const KEY = 'thimble-uploads', KEPT = 20
const SOON = 2000, LATE = 30000 // milliseconds between two polls, at first and at most

const store = {
  read() { try { return JSON.parse(localStorage.getItem(KEY)) ?? [] } catch { return [] } },
  write(entries) { try { localStorage.setItem(KEY, JSON.stringify(entries.slice(0, KEPT))) } catch { /* they are kept until the page is closed */ } },
}
let known = null
const entries = () => known ??= store.read().filter((one) => typeof one?.id === 'string')
const keep = (found) => { known = found; store.write(known) }

/** Hide content behind a button that shows it. */
export function fold(content, label) {
  const more = button(label, () => { content.hidden = false; more.remove() })
  content.hidden = true
  return el('div', {}, content, more)
}

let shown = () => []
/** Show the files that this browser uploaded before. */
export function find(uploads, model, drawn) {
  shown = drawn
  $('uploads').replaceChildren()
  if (uploads.open) for (const entry of entries().filter((one) => one.model === model.name).reverse()) watch(place(entry), entry)
}

export async function start(uploads, model, file, asked) {
  const where = place({ name: file.name })
  if (file.size > uploads.max_bytes) return where.say(`It has ${bytes(file.size)}; the most is ${bytes(uploads.max_bytes)}.`)
  try {
    where.say('is being sent')
    const made = await json(`uploads${query({ ...model.wanted, ...asked })}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name: file.name, bytes: file.size }) })
    await send(made.upload, file, (share) => where.progress(share))
    const entry = { id: made.id, name: file.name, model: model.name }
    keep([entry, ...entries()])
    watch(where, entry)
  } catch (error) { where.say(sentence(error.message), () => { where.remove(); start(uploads, model, file, asked) }) }
}

function send({ url, fields }, file, progress) {
  const form = new FormData()
  for (const [key, value] of Object.entries(fields)) form.append(key, value)
  form.append('file', file)
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    request.upload.onprogress = (event) => progress(event.loaded / event.total)
    request.onload = () => request.status < 300 ? resolve() : reject(new Error(`The bucket did not take the file: it answers with status ${request.status}.`))
    request.onerror = () => reject(new Error('The bucket cannot be reached, or the connection broke.'))
    request.open('POST', url)
    request.send(form)
  })
}

/** Build the place of one file: its name, its state or progress, and its result. */
function place(entry) {
  const state = el('span', {}), bar = el('progress', { max: 1, hidden: true, 'aria-label': 'sent' }), more = el('div', { className: 'more' }), again = el('span')
  const node = el('div', { className: 'upload' }, el('p', { className: 'lead' }, name(entry.name), state, ' ', again), bar, more)
  $('uploads').prepend(node)
  return {
    say(text, retry) {
      state.textContent = text.startsWith(':') ? text : ` ${text}`; bar.hidden = true
      again.replaceChildren(...(retry ? [button('Send it again', retry)] : []))
      say(`${entry.name} ${text}`)
    },
    progress(share) { bar.hidden = false; bar.value = share; state.textContent = ` is being sent, ${percent(share)}` },
    fill(...nodes) { more.replaceChildren(...nodes) },
    remove() { node.remove() },
    get gone() { return !node.isConnected },
  }
}

async function watch(where, entry, pause = SOON) {
  if (where.gone) return
  let found
  try { found = await json(`uploads${query({ id: entry.id })}`) } catch (error) {
    if (error.status >= 400 && error.status < 500 && error.status !== 429) return forget(where, entry, sentence(error.message))
    where.say('cannot be looked after for the moment')
    return setTimeout(watch, LATE, where, entry, pause)
  }
  if (found.state === 'done') return done(where, entry, found)
  if (found.state === 'refused') return forget(where, entry, `is refused. ${sentence(found.error)}`)
  where.say(found.state === 'working' ? 'is being classified; this page may be closed meanwhile' : 'has not arrived yet')
  setTimeout(watch, pause, where, entry, Math.min(LATE, pause * 1.3))
}
function forget(where, entry, text) {
  where.say(text)
  keep(entries().filter((one) => one.id !== entry.id))
}

function done(where, entry, found) {
  where.say(`: ${whole(found.predictions)} of ${whole(found.rows)} rows answered${found.rejections ? `, ${whole(found.rejections)} rejected` : ''}.`)
  const links = [['Download the answers', found.result, 'main'], ['the rejected', found.rejections ? found.rejected : null, '']].filter(([, to]) => to?.url)
  const away = button('forget it', () => { keep(entries().filter((one) => one.id !== entry.id)); where.remove() }, { className: 'small' })
  const link = ([text, to, kind], k) => el('button', { type: 'button', className: kind, onclick: () => follow(entry, k) }, `${text}, ${bytes(to.bytes)}`)
  where.fill(...shown(found), el('p', { className: 'drop' }, ...links.map(link), away))
}
/** Download a result. Presigned links expire soon, so a new one is requested each time. */
async function follow(entry, k) {
  const found = await json(`uploads${query({ id: entry.id })}`)
  const to = k ? found.rejected : found.result
  el('a', { href: to.url, download: to.name, rel: 'noreferrer' }).click()
}
