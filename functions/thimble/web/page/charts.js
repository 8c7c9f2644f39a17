// Charts: bars on rails, the histogram behind a slider, the reliability curve, drift against the training data.
import { el, name, svg } from './dom.js'
import { percent, short } from './text.js'

/** An item of a list of bars: a label, a rail and a number. `set` sets the bar; `marks` are lines across the rail. */
export function bar(label, { marks = [], around = false, title } = {}) {
  const fill = el('i'), value = el('span', { className: 'value' })
  const rail = el('span', { className: around ? 'rail around' : 'rail' }, fill, ...marks.map(({ at, kind }) => el('s', { className: kind ?? '', style: { left: `${100 * at}%` } })))
  const item = el('li', { className: 'bar', title: title ?? '' }, el('span', { className: 'what' }, label), rail, value)
  fill.style.transform = 'scaleX(0)'
  const set = (share, text) => { fill.style.transform = `scaleX(${share})`; value.replaceChildren(text) }
  return { item, fill, set }
}

/** The reliability curve: the share that was right by the stated probability. A larger circle has more rows. */
export function reliability(points) {
  const most = Math.max(...points.map(({ rows }) => rows))
  const dots = points.map(({ rows, said, right }) => svg('circle', { cx: 100 * said, cy: 100 - 100 * right / rows, r: (1.25 + 3.25 * Math.sqrt(rows / most)).toFixed(2) }))
  const line = points.map(({ rows, said, right }, k) => `${k ? 'L' : 'M'}${(100 * said).toFixed(2)},${(100 - 100 * right / rows).toFixed(2)}`).join('')
  return svg('svg', { viewBox: '-5 -5 110 110', 'aria-hidden': 'true' }, svg('path', { class: 'frame', d: 'M0,0V100H100' }), svg('path', { class: 'just', d: 'M0,100L100,0' }), svg('path', { class: 'line', d: line }), ...dots)
}

/** The histogram of a number's training data as one shape; its height is the number of rows by width. */
export function histogram({ bars, low, high }) {
  const span = high - low
  const heights = bars.map(({ from, to, n }) => n / Math.max(to - from, span / 60))
  const top = Math.max(...heights) || 1
  const x = (v) => (100 * (v - low) / span).toFixed(2)
  const path = bars.map(({ to }, k) => `V${(40 - 38 * heights[k] / top).toFixed(2)}H${x(to)}`).join('')
  return svg('svg', { viewBox: '0 0 100 40', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, svg('path', { d: `M0,40${path}V40Z` }))
}

const FEW = 4 // bins, at most, that are named one by one
const PLACES = [['below'], ['range', 'category'], ['above', 'other'], ['missing']] // from left to right

/** A feature's drift: its training data as a shape, the current rows as a line in front, and a word for it. */
function drifted(title, entry, rows, trainingRows) {
  const bins = PLACES.flatMap((kinds) => entry.bins.filter((bin) => kinds.includes(bin.kind)))
  const now = bins.map((bin) => bin.now / (rows || 1)), training = bins.map((bin) => bin.training / (trainingRows || 1))
  const top = Math.max(...now, ...training) || 1, wide = 100 / bins.length
  const y = (share) => (40 - 37 * share / top).toFixed(2)
  const gap = Math.min(0.6, wide * 0.12)
  const shapes = training.map((share, k) => `M${(k * wide + gap).toFixed(2)},40V${y(share)}H${((k + 1) * wide - gap).toFixed(2)}V40Z`).join('')
  const line = now.map((share, k) => `M${(k * wide + gap).toFixed(2)},${y(share)}H${((k + 1) * wide - gap).toFixed(2)}`).join('')
  const drawing = svg('svg', { viewBox: '0 0 100 40', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    svg('path', { class: 'training', d: shapes }), svg('path', { class: 'now', d: line, 'vector-effect': 'non-scaling-stroke' }))
  const word = entry.word ?? ''
  const item = el('li', { className: word === 'much moved' ? 'drift much' : word === 'moved' ? 'drift some' : 'drift' },
    el('p', { className: 'what' }, typeof title === 'string' ? name(title) : title, ' ', el('span', { className: 'word' }, word)),
    drawing, ends(bins),
    el('p', { className: 'sr' }, inWords(bins, training, now)))
  return item
}

/** The labels below a chart: the names of a few categories, or both ends. */
function ends(bins) {
  const text = (bin) => el('span', {}, bin.kind === 'category' ? name(bin.text) : bin.kind)
  if (bins.length <= FEW && bins.some((bin) => bin.kind === 'category')) return el('p', { className: 'ends each' }, ...bins.map(text))
  const known = bins.filter((bin) => bin.kind !== 'missing'), first = known[0], last = known.at(-1)
  if (!first) return el('p', { className: 'ends' }, 'missing')
  const left = first.kind === 'below' ? `< ${short(known[1].low)}` : first.kind === 'range' ? short(first.low) : text(first)
  const right = last.kind === 'above' ? `> ${short(known.at(-2).high)}` : last.kind === 'range' ? short(last.high) : text(last)
  return el('p', { className: 'ends' }, el('span', {}, left), el('span', {}, right))
}

const called = (bin) => bin.kind === 'category' ? bin.text : bin.kind === 'range' ? `${short(bin.low)} to ${short(bin.high)}` : bin.kind
/** The same for screen readers: the bins that moved most. */
function inWords(bins, training, now) {
  const order = bins.map((_, k) => k).sort((a, b) => Math.abs(now[b] - training[b]) - Math.abs(now[a] - training[a])).slice(0, 3)
  return order.map((k) => `${called(bins[k])}: ${percent(training[k])} in training, ${percent(now[k])} now`).join('; ')
}

/** All charts of a report, the largest drift first; if there are more than 16, those after the twelfth are folded. */
export function drift(report, fold) {
  const outputs = report.outputs.map((entry) => ({ title: entry.name ? el('span', {}, 'answers to ', name(entry.name)) : el('span', {}, 'the answers'), entry }))
  const features = report.features.map((entry) => ({ title: entry.name, entry })).sort((a, b) => b.entry.psi - a.entry.psi)
  const items = [...features, ...outputs].map(({ title, entry }) => drifted(title, entry, report.rows, report.training_rows))
  const list = (some) => el('ul', { className: 'drifts' }, ...some)
  return items.length <= 16 ? list(items) : el('div', {}, list(items.slice(0, 12)), fold(list(items.slice(12)), `Show the other ${items.length - 12}`))
}

/** The verdict of a report in words: "have much moved from the training data: mass, island." */
export function verdict({ word, features }) {
  if (word === 'steady') return ['look like the training data.']
  const moved = ['much moved', 'moved'].flatMap((kind) => features.filter((entry) => entry.word === kind)).map((entry) => name(entry.name))
  const some = moved.slice(0, 4).flatMap((node, i) => [i ? ', ' : '', node]), rest = moved.length - 4
  return [`have ${word} from the training data`, ...(some.length ? [': ', ...some] : []), rest > 0 ? ` and ${rest} more.` : '.']
}
