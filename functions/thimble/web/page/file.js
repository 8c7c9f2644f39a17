// Files: one that fits in a request is answered at once; every record is either answered or rejected.
import { $, button, el, name, say } from './dom.js'
import * as asked from './asked.js'
import * as charts from './charts.js'
import * as call from './call.js'
import * as upload from './upload.js'
import { ask, json } from './service.js'
import { bytes, counted, percent, sentence, short, spelled, visible, whole } from './text.js'

const MOST_BYTES = 4_500_000 // of a text in one request; Lambda takes no more
const ROWS = 8, REASONS = 8, BARS = 12
const KINDS = [
  { endings: ['.jsonl', '.ndjson'], type: 'application/jsonlines', answer: 'application/jsonlines', ending: '.jsonl' },
  { endings: ['.json'], type: 'application/json', answer: 'application/jsonlines', ending: '.jsonl', wrap: (text) => `{"instances":${text}}` },
  { endings: ['.csv', '.tsv', '.tab', '.txt'], type: 'text/csv', answer: 'text/csv', ending: '.csv' },
]
const kindOf = (file) => KINDS.find(({ endings }) => endings.some((ending) => file.name.toLowerCase().endsWith(ending)))

let wanted = () => ({}), model = null, uploads = { open: false }, newest = 0
export async function build(given) {
  model = given
  newest++ // answers to earlier requests are from another model
  $('result').replaceChildren()
  wanted = asked.build(model)
  $('choose').onclick = () => $('file').click()
  $('file').onchange = () => { take($('file').files[0]); $('file').value = '' }
  told()
  uploads = await json('uploads').catch(() => ({ open: false }))
  if (model !== given) return
  told()
  upload.find(uploads, model, finished)
}

function told() {
  const sample = model.examples.length ? [' Or ', button('try the examples', () => take(sampleOf(model))), '.'] : []
  $('kinds').replaceChildren(`or drop one anywhere on this page: CSV, JSON Lines or JSON${uploads.open ? `, Parquet too, up to ${bytes(uploads.max_bytes)}` : `, up to ${bytes(MOST_BYTES)}`}.`, ...sample)
  $('file').accept = (uploads.open ? uploads.endings : KINDS.flatMap(({ endings }) => endings)).join(',')
}
function sampleOf({ features, examples, name: called }) {
  const cell = (value) => /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value
  const rows = [...(features[0].named ? [features.map((f) => f.label)] : []), ...examples.map(({ row }) => row)]
  return new File([rows.map((row) => row.map((value) => cell(String(value ?? ''))).join(',')).join('\n') + '\n'], `${called || 'model'}-examples.csv`)
}

const tell = (...nodes) => $('result').replaceChildren(el('p', { className: 'lead' }, ...nodes))

async function take(file) {
  if (!file) return
  const turn = ++newest, kind = kindOf(file)
  const stands = () => turn === newest
  if (!file.size) return tell(name(file.name), ' is empty.')
  if (!kind || file.size > MOST_BYTES) return large(file, kind)
  tell(name(file.name), ' is being classified.')
  say(`${file.name} is being classified`, 0)
  try {
    const body = kind.wrap ? kind.wrap(await file.text()) : file
    const send = (accept, more) => ask(call.path(model, { rejected: 'report', ...more }), { method: 'POST', body, headers: { 'content-type': kind.type, accept }, signal: AbortSignal.timeout(120000) })
    const report = await (await send('application/json', { top: kind.wrap || model.outputs.some((o) => o.texts.length > 1) ? 1 : '' })).json()
    if (!stands()) return
    const text = await (await send(kind.answer, wanted())).text()
    if (stands()) answered(file, kind, report, text)
  } catch (error) {
    if (!stands()) return
    if (error.status === 413) return large(file, kind, error)
    tell(name(file.name), ' cannot be classified: ', sentence(error.message))
    say(sentence(error.message), 0)
  }
}

function large(file, kind, error) {
  if (uploads.open && uploads.endings.some((ending) => file.name.toLowerCase().endsWith(ending))) {
    $('result').replaceChildren()
    return upload.start(uploads, model, file, wanted())
  }
  const why = error ? sentence(error.message) : !kind ? 'This page sends CSV, JSON Lines and JSON.' : `${bytes(file.size)} are more than a request takes, ${bytes(MOST_BYTES)}.`
  tell(name(file.name), ` cannot be classified here. ${why} `, ...(kind || /\.(parquet|pq|gz|zst)$/i.test(file.name) ? ['Files of any size go into the inbox: ', el('code', {}, `thimble drop ${file.name.includes(' ') ? 'FILE' : visible(file.name)}`)] : []))
}

/** The result of an uploaded file, as far as its summary has it. */
function finished({ classes, drift }) {
  return [counts(classes), ...moved(drift)]
}

function answered(file, kind, { predictions, rejected, classes, drift, rows }, text) {
  const table = kind.answer === 'text/csv' ? records(text) : objects(text), answers = rows - rejected.length
  const silent = predictions.filter((found) => found && (found.outputs ? Object.values(found.outputs) : [found]).some((one) => one.abstained)).length
  const result = { name: file.name.replace(/\.\w+$/, '') + `-answers${kind.ending}`, text, table, kind }
  $('result').replaceChildren(
    el('p', { className: 'lead' }, name(file.name), ': ', el('b', {}, whole(answers)), ` ${answers === 1 ? 'row' : 'rows'} answered`, ...(silent ? [', ', el('b', {}, whole(silent)), ' of them without a label'] : []), ...(rejected.length ? [', ', el('b', {}, whole(rejected.length)), ' rejected'] : []), '.'),
    ...reasons(rejected), ...(answers ? [counts(classes), preview(table, predictions)] : []), ...download(result, answers), ...moved(drift))
  say(`${whole(answers)} answered, ${whole(rejected.length)} rejected`, 0)
}

function reasons(rejected) {
  if (!rejected.length) return []
  const some = rejected.slice(0, REASONS), rest = rejected.length - some.length
  return [el('ul', { className: 'reasons' }, ...some.map(({ line, row, reason }) => el('li', {}, line != null ? `Line ${whole(line)}: ` : `Row ${whole(row + 1)}: `, sentence(reason))),
    rest ? el('li', {}, `and ${counted(rest, 'more', 'more')}, which the download names.`) : null)]
}

// A class has a colour, always with its name beside it; beyond eight classes the colours repeat.
const hue = (k, n) => `oklch(var(--light) 0.13 ${(168 + k * 360 / Math.min(n, 8) + Math.floor(k / 8) * 22) % 360})`
function colours(outputs) {
  const found = new Map()
  outputs.forEach((o) => o.texts.forEach((text, k) => found.set(`${o.title}\0${text}`, hue(k, o.texts.length))))
  return (title, text) => found.get(`${title}\0${text}`) ?? 'currentColor'
}
const dot = (colour) => el('i', { className: 'dot', style: { '--c': colour } })

function counts(classes) {
  const colour = colours(model.outputs)
  return el('div', { className: 'counts' }, ...model.outputs.flatMap(({ title, texts }) => {
    const own = classes.filter((one) => one.output === title), most = Math.max(...own.map((one) => one.rows), 1)
    const some = texts.length <= 8 ? own : own.filter((one) => one.rows).sort((a, b) => b.rows - a.rows).slice(0, BARS), rest = own.length - some.length
    const bars = some.map(({ text, rows }) => {
      const made = charts.bar(el('span', {}, dot(colour(title, text)), name(text)), { title: visible(text) })
      made.set(rows / most, whole(rows))
      made.fill.style.background = colour(title, text)
      return made.item
    })
    return [title && el('h3', {}, name(title)), el('ul', { className: 'bars', 'aria-label': 'Rows by class' }, ...bars, rest ? el('li', { className: 'small' }, `and ${spelled(rest)} other classes with ${some.length < own.filter((one) => one.rows).length ? 'fewer' : 'none'}`) : null)]
  }))
}

function moved(report) {
  if (!report) return []
  if (!report.word) return [el('p', { className: 'small' }, `Whether the rows look like the training data is told from ${whole(report.fewest_rows)} rows on.`)]
  return [el('div', { className: 'beside' }, el('p', { className: 'lead' }, 'The rows ', ...charts.verdict(report)), el('p', { className: 'small' }, 'Behind: the training data. The line: these rows.'), charts.drift(report, upload.fold))]
}

function preview({ header, rows }, predictions) {
  const answers = model.outputs.flatMap((o) => [o.multilabel ? `${o.prefix}labels` : `${o.prefix}label`, ...(o.multilabel ? [] : [`${o.prefix}${o.probabilities ? 'probability' : 'score'}`])])
  const all = new Set([...answers, 'rejected', ...model.outputs.flatMap((o) => o.texts.map((text) => `${o.prefix}${o.probabilities ? 'p' : 'score'}_${text}`))])
  const shown = rows.map((row, k) => ({ row, k })).filter(({ k }) => predictions[k]).slice(0, ROWS)
  const own = header.map((title, at) => ({ title, at })).filter(({ title }) => !all.has(title)).slice(0, 60), colour = colours(model.outputs)
  const numeric = (at) => shown.every(({ row }) => row[at] === '' || row[at] == null || !Number.isNaN(Number(row[at])))
  const columns = own.map((column) => ({ ...column, n: numeric(column.at) }))
  const answer = (prediction) => model.outputs.flatMap((o) => {
    const found = o.title ? prediction.outputs[o.title] : prediction
    if (o.multilabel) return [el('td', {}, ...(found.labels.length ? found.labels.flatMap((label, i) => [i ? ', ' : '', dot(colour(o.title, String(label))), name(label)]) : ['none']))]
    return [el('td', {}, ...(found.abstained ? ['no answer'] : [dot(colour(o.title, String(found.label))), name(found.label)])), el('td', { className: 'n' }, found.probability != null ? percent(found.probability) : short(found.score))]
  })
  return el('div', { className: 'scroll', tabIndex: 0, role: 'region', 'aria-label': 'The first rows' }, el('table', {},
    el('caption', { className: 'sr' }, 'The first rows and their answers'),
    el('thead', {}, el('tr', {}, ...answers.map((title) => el('th', { scope: 'col', className: /(probability|score)$/.test(title) ? 'n' : '' }, name(title))), ...columns.map(({ title, n }) => el('th', { scope: 'col', className: n ? 'n' : '' }, name(title))))),
    el('tbody', {}, ...shown.map(({ row, k }) => el('tr', {}, ...answer(predictions[k]), ...columns.map(({ at, n }) => el('td', { className: n ? 'n' : 'text' }, n && row[at]?.length > 8 ? short(Number(row[at])) : name(row[at] ?? ''))))))))
}

// A spreadsheet runs a cell that begins with one of these, unless it is a number.
const RUNS = /^[=+\-@\t\r]/
const runs = (cell) => RUNS.test(cell) && Number.isNaN(Number(cell))
const written = (cell, delimiter) => /["\r\n]/.test(cell) || cell.includes(delimiter) || cell !== cell.trim() ? `"${cell.replaceAll('"', '""')}"` : cell

function download({ name: called, text, table, kind }, answers) {
  const save = (content) => {
    const link = el('a', { href: URL.createObjectURL(new Blob([content], { type: kind.answer })), download: called })
    link.click()
    setTimeout(() => URL.revokeObjectURL(link.href), 10000)
  }
  const cells = kind.answer === 'text/csv' ? [table.header, ...table.rows].reduce((n, row) => n + row.filter(runs).length, 0) : 0
  const more = answers > ROWS ? [el('span', { className: 'small' }, `Above are the first ${ROWS}.`)] : []
  if (!cells) return [el('p', { className: 'drop' }, button('Download the answers', () => save(text), { className: 'main' }), ...more)]
  const safe = () => [table.header, ...table.rows].map((row) => row.map((cell) => written(runs(cell) ? `'${cell}` : cell, table.delimiter)).join(table.delimiter)).join('\n') + '\n'
  return [el('p', { className: 'drop' }, button('Download the answers', () => save(safe()), { className: 'main' }), ...more),
    el('p', { className: 'small' }, `A spreadsheet would run ${counted(cells, 'cell')} that ${cells === 1 ? 'begins' : 'begin'} with =, +, − or @. The download has a ' before ${cells === 1 ? 'it' : 'each'}. `, button('Download the cells as they are', () => save(text)))]
}

/** Parse a CSV from the service, which has the dialect of the file that was sent: header, records, delimiter. */
function records(text) {
  const delimiter = /([^"])"?rejected"?\r?$/m.exec(text)?.[1] ?? ','
  const found = []
  let row = [], cell = '', inside = false, started = false
  for (let at = 0; at < text.length; at++) {
    const c = text[at]
    if (inside) {
      if (c !== '"') cell += c
      else if (text[at + 1] === '"') { cell += c; at++ } else inside = false
    } else if (c === '"' && cell === '') { inside = true; started = true }
    else if (c === delimiter) { row.push(cell); cell = ''; started = true }
    else if (c === '\n' || c === '\r') {
      if (c === '\r' && text[at + 1] === '\n') at++
      if (started || cell) found.push([...row, cell])
      row = []; cell = ''; started = false
    } else cell += c
  }
  if (started || cell) found.push([...row, cell])
  return { header: found[0] ?? [], rows: found.slice(1), delimiter }
}
function objects(text) {
  const rows = text.split('\n', 200).filter(Boolean).map((line) => new Map(Object.entries(JSON.parse(line))))
  const header = [...new Set(rows.flatMap((row) => [...row.keys()]))]
  const cell = (value) => value == null ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value)
  return { header, rows: rows.map((row) => header.map((key) => cell(row.get(key)))) }
}

const over = (yes) => document.documentElement.classList.toggle('over', yes)
addEventListener('dragover', (event) => { if (model && event.dataTransfer.types.includes('Files')) { event.preventDefault(); over(true) } })
addEventListener('dragleave', (event) => { if (!event.relatedTarget) over(false) })
addEventListener('drop', (event) => {
  over(false)
  if (!model || !event.dataTransfer.files.length) return
  event.preventDefault()
  $('t-file').scrollIntoView()
  take(event.dataTransfer.files[0])
})
