// The page: read the model that the address names, show it, and answer the form's values as they change.
import { $, button, el, name } from './dom.js'
import { auth, json, Refused } from './service.js'
import { read, rowOf } from './model.js'
import { introduce } from './words.js'
import * as form from './form.js'
import * as answer from './answer.js'
import * as why from './why.js'
import * as call from './call.js'
import * as file from './file.js'
import * as seen from './seen.js'
import { capital, sentence, visible } from './text.js'

// The address: the model, its version and the row are behind the #, so no server logs them.
const MISSING = '~'
function fromAddress() {
  const found = new Map(location.hash.slice(1).split('&').filter(Boolean).map((part) => [part.split('=')[0], part.slice(part.indexOf('=') + 1)]))
  const plain = (key) => { try { return decodeURIComponent(found.get(key) ?? '') } catch { return '' } }
  return { model: plain('model'), version: plain('version'), row: found.get('row') }
}
const toAddress = ({ model, version, row }) => '#' + [model && `model=${encodeURIComponent(model)}`, version && `version=${encodeURIComponent(version)}`, row && `row=${row}`].filter(Boolean).join('&')
const cellOf = (value) => value === null ? MISSING : encodeURIComponent(value).replaceAll('~', '%7E')

function rowOfAddress(model, row) {
  const cells = row?.split(',')
  if (cells?.length !== model.features.length) return null
  try {
    return cells.map((cell, i) => {
      const f = model.features[i], text = decodeURIComponent(cell)
      if (cell === MISSING || f.type === 'unused') return null
      if (!f.choices) return text
      const known = f.choices.find((choice) => String(choice.value) === text)
      return known ? known.value : f.open ? text : null
    })
  } catch { return null }
}

let shown = null // the model on the screen
async function show() {
  const { model: named, version, row } = fromAddress()
  const model = await read({ model: named, version })
  const asker = answer.asker(send)
  let later
  const values = form.build(model, () => { asker.changed(); clearTimeout(later); later = setTimeout(settled, 300) })
  const place = answer.build(model)
  const code = call.build(model, values.values)
  const reasons = why.build(model, asker.changed, values)
  function settled() {
    const at = fromAddress()
    if (shown !== model || at.model !== named || at.version !== version) return // another model is loading
    history.replaceState(null, '', toAddress({ model: named, version, row: values.values.map(cellOf).join(',') }))
    code()
  }
  const tell = (prediction, problem, beyond) => { place.show(prediction, problem, beyond); reasons.show(prediction, problem) }
  async function send() {
    const problem = values.problem()
    if (problem) return tell(null, problem)
    const beyond = values.outside()
    try {
      const found = await json(call.path(model, { top: answer.top(model), ...reasons.asked() }), { method: 'POST', headers: { 'content-type': 'application/json' }, body: call.body(model, values.values) })
      if (shown === model) tell(found.predictions[0], '', beyond)
    } catch (error) {
      if (error.status === 401 || error.status === 403) return refused(error)
      tell(null, sentence(error.message))
    }
  }
  shown = model
  introduce(model)
  form.examples(model, (example) => values.start(rowOf(model, example)))
  values.start(rowOfAddress(model, row) ?? rowOf(model, model.examples[0]))
  file.build(model)
  seen.build(model)
  pickers(model)
  await asker.now()
  if (shown !== model) return
  $('trouble').hidden = true
  $('whole').hidden = false
}

const FEW = 6
async function pickers(model) {
  const known = await json('v1/models').catch(() => ({ models: [] }))
  const current = model.wanted.model || known.models.find((one) => one === model.name) || ''
  const status = await json(`v1/models/${encodeURIComponent(current || 'default')}`).catch(() => ({ model_version_status: [] }))
  const versions = status.model_version_status.map((one) => one.version)
  const { serving } = model
  const to = (choice) => toAddress(choice)
  const parts = []
  if (known.models.length > FEW) {
    parts.push(picker('Model', known.models.map((one) => ({ value: one, text: visible(one), chosen: one === current })), (one) => { location.hash = to({ model: one }) }))
  } else if (known.models.length > 1) parts.push(...known.models.map((one) => el('a', { href: to({ model: one }), 'aria-current': one === current ? 'page' : null }, name(one))))
  if (versions.length > 1) {
    const word = (one) => one === serving?.version ? ' · answers' : one === serving?.candidate ? serving.shadow ? ' · in the shadow' : ` · canary, ${serving.percent} %` : ''
    parts.push(picker('Version', versions.map((one) => ({ value: one, text: visible(one.slice(0, 12)) + word(one), chosen: one === model.digest })), (one) => { location.hash = to({ model: current, version: one === serving?.version ? '' : one }) }))
  }
  if (shown === model) $('models').replaceChildren(...parts)
}
function picker(label, options, chosen) {
  const id = `pick-${label.toLowerCase()}`, select = el('select', { id }, ...options.map(({ value, text }) => el('option', { value }, text)))
  select.selectedIndex = options.findIndex((option) => option.chosen)
  select.onchange = () => chosen(select.value)
  return el('span', { className: 'picker' }, el('label', { htmlFor: id }, label), ' ', select)
}

// If the service does not answer: say why, and what to do about it.
function refused(error) {
  const help = []
  if (error.status === 401) help.push(tokenForm())
  else if (error.status === 403 && auth.token) help.push(el('p', { className: 'lead' }, 'The token that was given does not allow it.'), tokenForm())
  else if (error.status === 403) help.push(...signed())
  else help.push(el('p', { className: 'drop' }, button('Try again', boot, { className: 'main' }), error.status === 404 && el('a', { href: '#' }, 'The model that answers where none is named')))
  $('troubled').textContent = error instanceof Refused ? capital(sentence(error.message)) : 'The page failed.'
  $('help').replaceChildren(...help)
  $('whole').hidden = true
  $('trouble').hidden = false
}
function tokenForm() {
  const field = el('input', { className: 'field token', type: 'password', id: 'token', autocomplete: 'off', spellcheck: false, required: true })
  return el('form', { onsubmit(event) { event.preventDefault(); auth.token = field.value; boot() } },
    el('label', { htmlFor: 'token', className: 'lead' }, 'Paste a token of whoever issues them for this service. It is kept until this tab is closed.'),
    el('p', { className: 'drop' }, field, el('button', { className: 'main' }, 'Use it')))
}
function signed() {
  const host = location.host, region = /\.([a-z]+-[a-z]+-\d)\.amazonaws\./.exec(host)?.[1] ?? 'REGION'
  const line = `curl -s ${new URL('.', location.href.split(/[?#]/)[0]).href}model --aws-sigv4 aws:amz:${region}:execute-api --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" -H "x-amz-security-token: $AWS_SESSION_TOKEN"`
  return [el('p', { className: 'lead' }, 'It answers requests that are signed with keys of AWS, which a page should not be given. From a terminal that has them:'), el('pre', { tabIndex: 0 }, line)]
}

async function boot() {
  try { await show() } catch (error) {
    if (!(error instanceof Refused)) console.error(error)
    refused(error)
  }
}
addEventListener('hashchange', () => {
  const { model, version } = fromAddress()
  if (shown && model === shown.wanted.model && version === shown.wanted.version && location.hash.includes('row=')) return boot()
  scrollTo(0, 0)
  boot()
})
boot()
