// The form: a field for each value that the model reads. A value is the text of a number as typed, a category,
// true, false, or null if it is missing.
import { $, button, el, name } from './dom.js'
import { histogram } from './charts.js'
import { fixed, number, percent, short, visible } from './text.js'
import { rounded as toStep } from './model.js'

const FOLD = 14 // fields that are shown at first, if there are many
const RADIOS = 6 // choices, at most, that are radio buttons

/** Build the fields. `changed` is called after each change. The form's `values` are to be read; `start` sets them. */
export function build(model, changed) {
  const values = model.features.map(() => null)
  const context = { values, changed }
  const fields = model.used.map((f) => f.choices ? choice(f, context) : f.type === 'text' ? text(f, context) : numeric(f, context))
  const rest = folded(fields.map((field) => field.row), model.used)
  $('form').onsubmit = (event) => event.preventDefault()
  $('form').replaceChildren(...rest)
  return {
    values,
    start(row) { row.forEach((value, i) => { values[i] = value }); fields.forEach((field) => field.draw()); changed() },
    problem() {
      const field = fields.find((field) => field.problem())
      return field && `${visible(field.f.label)} ${field.problem()}.`
    },
    outside: () => fields.filter((field) => field.outside?.()).map((field) => field.f.label),
  }
}

function folded(rows, used) {
  if (rows.length <= FOLD + 4) return rows
  const rest = el('div', { id: 'rest' }, ...rows.slice(FOLD)), more = el('button', { type: 'button', 'aria-controls': 'rest' })
  const fold = (closed) => {
    if (closed) rest.setAttribute('hidden', 'until-found'); else rest.removeAttribute('hidden')
    more.setAttribute('aria-expanded', String(!closed))
    more.textContent = closed ? `Show the other ${used.length - FOLD} values` : `Show the first ${FOLD} values only`
  }
  rest.onbeforematch = () => fold(false)
  more.onclick = () => fold(!rest.hasAttribute('hidden'))
  fold(true)
  return [...rows.slice(0, FOLD), rest, el('p', { className: 'more' }, more)]
}

const feature = (f, ...parts) => el('div', { className: 'feature' }, ...parts)
const labelled = (f) => el('label', { className: 'name', htmlFor: `f${f.i}` }, name(f.label))

function numeric(f, { values, changed }) {
  const ranged = f.low != null, moves = ranged && f.low < f.high, id = `f${f.i}`
  const field = el('input', { id, className: 'field', type: 'text', autocomplete: 'off', spellcheck: false, inputMode: f.low >= 0 ? 'decimal' : 'text',
    placeholder: f.optional ? 'missing' : 'needed', 'aria-describedby': ranged || f.optional ? `${id}n` : null })
  const slider = moves && el('input', { type: 'range', min: f.low, max: f.high, step: 'any', tabIndex: -1, 'aria-hidden': 'true' })
  const low = el('span'), high = el('span'), box = f.optional && el('input', { type: 'checkbox', tabIndex: -1 })
  const slide = moves && el('div', { className: 'slide' }, histogram(f), slider)
  const step = moves ? Math.max(10 ** Math.floor(Math.log10((f.high - f.low) / 20)), 10 ** -(f.decimals ?? 12)) : 1
  let before = null // the value before "missing" was checked
  const set = (value, from) => { values[f.i] = value; draw(from); changed() }
  const x = () => number(values[f.i]), missing = () => values[f.i] === null
  const problem = () => missing() ? !f.optional && 'is needed' : !Number.isFinite(x()) && 'is not a number'
  const outside = () => ranged && (x() < f.low || x() > f.high)

  function draw(from) {
    if (from !== field) field.value = values[f.i] ?? ''
    field.setAttribute('aria-invalid', String(Boolean(problem())))
    if (box) box.checked = missing()
    if (!moves) return
    if (from !== slider) slider.value = Number.isFinite(x()) ? x() : f.middle
    slide.classList.toggle('none', missing() || Boolean(problem()))
    low.classList.toggle('out', x() < f.low); high.classList.toggle('out', x() > f.high)
    low.textContent = x() < f.low ? `below training · ${end(f, f.low)}` : end(f, f.low)
    high.textContent = x() > f.high ? `${end(f, f.high)} · above training` : end(f, f.high)
  }
  field.oninput = () => set(field.value.trim() === '' ? null : field.value, field)
  field.onkeydown = (event) => {
    const by = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key]
    if (!by || event.altKey || event.ctrlKey || event.metaKey || !moves) return
    event.preventDefault()
    set(toStep(f, (Number.isFinite(x()) ? x() : f.middle) + by * step * (event.shiftKey ? 10 : 1)))
  }
  if (slider) slider.oninput = () => set(toStep(f, Math.min(f.high, Math.max(f.low, Number(slider.value)))), slider)
  if (box) box.onchange = () => {
    if (box.checked) { before = values[f.i]; set(null) } else set(before ?? toStep(f, f.middle ?? 0))
  }
  const note = moves ? el('div', { className: 'ends', id: `${id}n` }, low, high) : ranged ? el('div', { className: 'always', id: `${id}n` }, `always ${short(f.low)} in training`) : f.optional && el('span', { className: 'sr', id: `${id}n` }, 'may be left empty')
  const row = feature(f, labelled(f), el('div', { className: 'middle' }, slide, note),
    el('div', { className: 'entry' }, field, box && el('label', { className: 'missing', 'aria-hidden': 'true' }, box, 'missing')))
  return { f, row, draw, problem, outside }
}
/** One end of the range, with as many decimals as either end needs. */
function end(f, x) {
  const needs = (y) => (String(Number(y.toFixed(Math.min(f.decimals, 4)))).split('.')[1] ?? '').length
  return f.decimals > 6 ? short(x) : fixed(x, Math.max(needs(f.low), needs(f.high)))
}

const shown = (option) => option.other ? 'another' : option.value === null ? 'missing' : option.value

function choice(f, { values, changed }) {
  const options = [...f.choices, ...(f.optional ? [{ value: null, share: f.missing }] : []), ...(f.open ? [{ other: true, share: null }] : [])]
  const known = (value) => options.findIndex((option) => !option.other && option.value === value)
  const place = () => known(values[f.i]) >= 0 ? known(values[f.i]) : options.findIndex((option) => option.other)
  const free = f.open && el('input', { className: 'field other', type: 'text', autocomplete: 'off', spellcheck: false, 'aria-label': `another ${visible(f.label)}` })
  const numbers = f.type === 'number'
  const set = (k) => { values[f.i] = options[k].other ? '' : options[k].value; draw(); changed(); if (options[k].other) free.focus() }
  const problem = () => place() < 0 ? 'is needed' : options[place()].other && numbers && !Number.isFinite(number(values[f.i])) && 'is not a number'
  if (free) free.oninput = () => { values[f.i] = free.value; changed() }
  const pick = options.length > RADIOS ? select(f, options, set) : radios(f, options, set)
  function draw() {
    pick.draw(place())
    if (!free) return
    free.hidden = !options[place()]?.other
    if (!free.hidden && free.value !== String(values[f.i] ?? '')) free.value = values[f.i] ?? ''
  }
  const row = el('div', { className: 'feature', ...pick.group }, pick.label, el('div', { className: 'wide' }, pick.node, free))
  return { f, row, draw, problem }
}

function select(f, options, set) {
  const words = (o) => visible(shown(o)) + (o.share == null ? '' : ` · ${percent(o.share)}`)
  const node = el('select', { className: 'field', id: `f${f.i}` }, ...options.map((o, k) => el('option', { value: k }, words(o))))
  node.onchange = () => set(Number(node.value))
  return { node, label: labelled(f), group: {}, draw: (k) => { node.selectedIndex = k } }
}

function radios(f, options, set) {
  const inputs = options.map((_, k) => el('input', { type: 'radio', name: `f${f.i}`, onchange: () => set(k) }))
  const labels = options.map((o, k) => el('label', {}, inputs[k], o.other || o.value === null ? el('span', { className: 'quiet' }, shown(o)) : name(o.value),
    o.share != null && el('span', { className: 'rail' }, el('i', { style: { transform: `scaleX(${o.share})` } })), o.share != null && el('span', { className: 'share' }, percent(o.share))))
  return { node: el('div', { className: 'choices' }, ...labels), label: el('span', { className: 'name', id: `f${f.i}` }, name(f.label)), group: { role: 'radiogroup', 'aria-labelledby': `f${f.i}` },
    draw: (k) => inputs.forEach((input, i) => { input.checked = i === k }) }
}

function text(f, { values, changed }) {
  const field = el('textarea', { className: 'field', id: `f${f.i}`, rows: 3, spellcheck: false, dir: 'auto', placeholder: f.optional ? 'missing' : '' })
  const box = f.optional && el('input', { type: 'checkbox', tabIndex: -1 })
  const draw = () => { if (field.value !== (values[f.i] ?? '')) field.value = values[f.i] ?? ''; if (box) box.checked = values[f.i] === null }
  field.oninput = () => { values[f.i] = field.value === '' && f.optional ? null : field.value; draw(); changed() }
  if (box) box.onchange = () => { values[f.i] = box.checked ? null : ''; draw(); changed() }
  const row = feature(f, labelled(f), el('div', { className: 'wide' }, field, box && el('label', { className: 'missing', 'aria-hidden': 'true' }, box, 'missing')))
  return { f, row, draw, problem: () => false }
}

/** Build the buttons that fill the form with an example; each is named after the model's answer to it. */
export function examples(model, pressed) {
  const seen = new Map()
  const title = ({ answer }, i) => {
    if (model.outputs.length > 1 || model.outputs[0].multilabel) return `example ${i + 1}`
    const called = visible(answer.abstained ? 'no answer' : answer.label), n = (seen.get(called) ?? 0) + 1
    seen.set(called, n)
    return called + (n > 1 ? ` ${n}` : '')
  }
  const some = model.examples.slice(0, 6)
  $('examples').replaceChildren(...(some.length ? [el('span', { className: 'small' }, 'start from'), ...some.map((example, i) => button(el('bdi', {}, title(example, i)), () => pressed(example), { className: 'small' }))] : []))
}
