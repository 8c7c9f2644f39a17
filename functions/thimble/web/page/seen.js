// GET /seen: the requests and classes that one instance has counted, and how far the rows have moved.
import { $, button, el, name } from './dom.js'
import * as charts from './charts.js'
import { fold } from './upload.js'
import { json, query } from './service.js'
import { percent, visible, whole } from './text.js'

let model = null
export async function build(given) {
  model = given
  $('sees').replaceChildren(el('p', { className: 'lead' }, 'Asking.'))
  $('look').replaceChildren(button('look again', look, { className: 'small' }))
  await look()
}

async function look() {
  const asked = model
  try {
    const found = await json(`seen${query(model.wanted)}`)
    if (model === asked) show(found)
  } catch (error) {
    if (model !== asked) return
    $('seen').hidden = error.status === 404
    $('sees').replaceChildren(el('p', { className: 'lead' }, visible(error.message)))
  }
}

const since = (moment) => {
  const minutes = Math.max(0, Math.round((Date.now() - new Date(moment)) / 60000))
  return minutes < 2 ? 'the last minute' : minutes < 120 ? `the last ${whole(minutes)} minutes` : `the last ${whole(Math.round(minutes / 60))} hours`
}

function show(found) {
  $('seen').hidden = false
  const own = found.models.find((one) => one.digest === model.digest)
  const small = el('p', { className: 'small' }, 'This is what one instance of the function has answered; others have seen other requests.')
  if (!own?.rows) return $('sees').replaceChildren(el('p', { className: 'lead' }, found.since ? `Nothing yet, in ${since(found.since)}.` : 'Nothing yet.'), small)
  const { drift } = own
  $('sees').replaceChildren(
    el('p', { className: 'lead' }, 'In ', since(found.since), ': ', el('b', {}, whole(own.requests)), ` ${own.requests === 1 ? 'request' : 'requests'} of `, el('b', {}, whole(own.rows)), ` ${own.rows === 1 ? 'row' : 'rows'}.`, ...word(drift)),
    small, classes(own), ...(drift?.word ? [el('p', { className: 'small key' }, 'Behind: the training data. The line: now.'), charts.drift(drift, fold)] : []))
}

function word(drift) {
  if (!drift) return []
  if (!drift.word) return [` How far they moved from the training data is told from ${whole(drift.fewest_rows)} rows on.`]
  return [' They ', ...charts.verdict(drift)]
}

const MOST = 12
function classes(own) {
  return el('div', { className: 'counts' }, ...model.outputs.flatMap(({ title, multilabel }) => {
    const all = own.classes.filter((one) => one.output === title)
    const some = all.length <= MOST ? all : all.filter((one) => one.rows).sort((a, b) => b.rows - a.rows).slice(0, MOST)
    const bars = some.map(({ text, rows }) => {
      const made = charts.bar(name(text), { title: visible(text) })
      made.set(rows / own.rows, percent(rows / own.rows))
      return made.item
    })
    return [title && el('h3', {}, name(title)), el('ul', { className: 'bars', 'aria-label': multilabel ? 'Labels given' : 'Classes given' }, ...bars)]
  }))
}
