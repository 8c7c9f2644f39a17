// The model in words: its classes, its scores, its purpose.
import { $, el, inWords, name } from './dom.js'
import { reliability } from './charts.js'
import { counted, lines, percent, plural, short, visible, whole } from './text.js'

const FEW_CLASSES = 5
const LONG = 60 // characters of class names, at most, in a headline

export function introduce(model) {
  document.title = `${visible(model.name)} · Thimble`
  $('sentence').replaceChildren(...headline(model))
  $('summary').replaceChildren(...(model.about.summary ? [lines(model.about.summary)] : []))
  $('learned').replaceChildren(...learned(model))
  $('about').replaceChildren(...about(model))
  $('errs').replaceChildren(...errs(model))
  $('version').replaceChildren(...version(model))
}

function headline({ name: called, outputs, used }) {
  const values = plural(used.length, 'value'), [first] = outputs, n = first.texts.length
  const classes = n <= FEW_CLASSES && first.texts.join('').length < LONG ? inWords(first.texts.map(name)) : [plural(n, first.multilabel ? 'label' : 'class', first.multilabel ? 'labels' : 'classes')]
  if (outputs.length > 1) return [name(called), ` answers ${plural(outputs.length, 'question')}, `, ...inWords(outputs.map((o) => name(o.title))), `, from ${values}.`]
  if (first.multilabel) return [name(called), ' marks what applies of ', ...classes, `, from ${values}.`]
  if (n === 1) return [name(called), ' always answers ', ...classes, '.']
  return [name(called), ' tells ', ...classes, ` apart, from ${values}.`]
}

const strong = (text) => el('b', {}, text)
function learned({ outputs, rows, scores }) {
  const said = [], held = scores?.held_out, seen = scores?.training
  said.push(...(rows ? ['It learned from ', strong(whole(rows)), ' rows. '] : ['What it learned from is not recorded. ']))
  if (outputs.length > 1) return said
  const right = (from, rows_) => {
    const found = [' it gets ', strong(percent(from.scores.accuracy)), outputs[0].multilabel ? ` of ${rows_} wholly right` : ` of ${rows_} right`]
    const usual = from.outputs?.[0]?.commonest
    if (usual) found.push('; always answering ', name(outputs[0].texts[usual.class]), ' would get ', strong(percent(usual.share)))
    return [...found, '. ']
  }
  if (held?.scores.accuracy != null) said.push(...(held.rows ? ['Of ', strong(whole(held.rows)), ' that it had not seen'] : ['Of rows that it had not seen']), ',', ...right(held, 'them'))
  else {
    if (seen?.scores.accuracy != null) said.push('Of those same rows', ...right(seen, 'them').map((part, i) => i === 2 ? part.replace(' of them', '') : part))
    said.push('How well it does on others is not recorded.')
  }
  return said
}

const TERMS = [['use', 'For'], ['not_for', 'Not for'], ['limits', 'Limits'], ['data', 'Data'], ['owner', 'Owner'], ['contact', 'Contact'], ['licence', 'Licence'], ['link', 'More']]
function about({ about: given }) {
  return TERMS.filter(([key]) => given[key]).map(([key, term]) => el('div', {}, el('dt', {}, term), el('dd', {}, key === 'link' ? link(given.link) : lines(given[key]))))
}
const link = (to) => to.startsWith('https://') ? el('a', { href: to, rel: 'noreferrer noopener' }, visible(to.replace('https://', ''))) : visible(to)

const MOST = 12 // classes, at most, of a confusion matrix that is shown whole
function errs({ outputs, scores }) {
  const from = scores?.held_out ?? scores?.training
  const found = (from?.outputs ?? []).flatMap((judged, k) => [...confused(outputs[k], judged), ...calibrated(outputs[k], judged)])
  const others = Object.entries(from?.scores ?? {}).filter(([key]) => key !== 'accuracy')
  if (others.length) found.push(el('p', { className: 'small' }, others.map(([key, value]) => `${visible(key).replaceAll('_', ' ')} ${short(value)}`).join(' · ')))
  return found.length > (others.length ? 1 : 0) ? [el('details', {}, el('summary', {}, 'Where it errs'), el('div', { className: 'errs' }, ...found))] : []
}

function confused({ texts, title }, { confusion }) {
  if (!confusion) return []
  const totals = confusion.map((row) => row.reduce((sum, n) => sum + n, 0))
  const caption = el('h2', { className: 'sub' }, title ? name(title) : 'What it takes for what')
  if (texts.length > MOST) {
    const pairs = confusion.flatMap((row, t) => row.map((n, a) => ({ n, t, a }))).filter(({ n, t, a }) => n && t !== a).sort((x, y) => y.n - x.n).slice(0, 6)
    return [el('div', {}, caption, el('ul', {}, ...pairs.map(({ n, t, a }) => el('li', {}, name(texts[t]), ' taken for ', name(texts[a]), `: ${whole(n)} of ${whole(totals[t])}`))))]
  }
  const cell = (n, t, a) => el('td', { className: t === a ? 'n right' : 'n', style: { '--share': `${Math.round(22 * n / (totals[t] || 1))}%` } }, n ? whole(n) : '·')
  return [el('div', { className: 'scroll', tabIndex: 0, role: 'region', 'aria-label': 'What it takes for what' }, caption, el('table', { className: 'confusion' },
    el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'is ↓ answered →'), ...texts.map((text) => el('th', { scope: 'col', className: 'n' }, name(text))))),
    el('tbody', {}, ...confusion.map((row, t) => el('tr', {}, el('th', { scope: 'row' }, name(texts[t])), ...row.map((n, a) => cell(n, t, a)))))))]
}

/** The calibration of an output: the curve, and beside it the numbers, which screen readers read. */
function calibrated({ title, texts, multilabel }, { calibration, calibration_by_class: each }) {
  if (multilabel) return (each ?? []).flatMap((found, k) => curve(found, texts[k]))
  return curve(calibration, title)
}
function curve(calibration, title) {
  if (!calibration) return []
  const points = calibration.rows.map((rows, k) => ({ rows, said: calibration.probability[k], right: calibration.right[k] })).filter(({ rows }) => rows)
  const rows = points.reduce((sum, point) => sum + point.rows, 0)
  if (!rows) return []
  const head = ['it said', 'it was right', 'rows'].map((text) => el('th', { scope: 'col', className: 'n' }, text))
  const body = points.map(({ rows: n, said, right }) => el('tr', {}, ...[percent(said), percent(right / n), whole(n)].map((text) => el('td', { className: 'n' }, text))))
  return [el('div', { className: 'calibration' }, el('h2', { className: 'sub' }, title ? name(title) : 'How far its probabilities can be trusted'),
    el('div', { className: 'curve' },
      el('div', {}, el('span', { className: 'small up', 'aria-hidden': 'true' }, '↑ right'), reliability(points), el('p', { className: 'ends', 'aria-hidden': 'true' }, el('span', {}, '0\u00a0%'), el('span', {}, 'said →'), el('span', {}, '100\u00a0%'))),
      el('table', {}, el('thead', {}, el('tr', {}, ...head)), el('tbody', {}, ...body))),
    el('p', { className: 'small' }, `Its probabilities were off by ${percent(calibration.error)} on average (the expected calibration error), over ${counted(rows, 'row')}. On the line across they would be exact; below it the model is too sure of itself.`))]
}

function version({ digest, training, serving }) {
  const made = training?.versions?.['scikit-learn'], when = training?.time
  const parts = ['Version ', el('code', { title: digest }, digest.slice(0, 12))]
  if (typeof when === 'string') parts.push(` · trained ${visible(when.slice(0, 10))}`)
  if (typeof made === 'string') parts.push(` · scikit-learn ${visible(made)}`)
  if (serving?.candidate) {
    const tried = serving.shadow ? 'is compared in the shadow' : `answers ${serving.percent} % of the requests`
    parts.push(el('br'), serving.candidate === digest ? `This version is on trial: it ${tried}.` : 'On trial beside it: ', serving.candidate === digest ? '' : el('code', {}, serving.candidate.slice(0, 12)), serving.candidate === digest ? '' : `, a canary that ${tried}.`)
  }
  if (serving && serving.version !== digest && serving.candidate !== digest) parts.push(el('br'), 'Another version answers where none is named: ', el('code', {}, serving.version.slice(0, 12)), '.')
  return parts
}
