// Why this answer, how sure, and what would change it: the explanation, label set and what-if of a row.
import { $, button, el, inWords, name } from './dom.js'
import { bar } from './charts.js'
import { capital, fixed, percent, pieces, sentence, short, signed, visible, whole } from './text.js'
import { valueOf } from './model.js'

const MOST = 8 // contributions shown one by one; nine are shown rather than "the other 1"
export const shownOf = ({ used }) => used.length > MOST + 1 ? MOST : Math.max(1, used.length)
/** Return whether the model can tell something of every output. */
export const able = (model, what) => model.outputs.every((output) => output.can[what])
/** Return how often a set holds the truth where nothing else was chosen. */
export const usualLevel = ({ outputs: [{ can: { coverage } }] }) => coverage.includes(0.95) ? 0.95 : coverage.at(-1)
const TOLD = 3 // words of a text that are named, for and against each

/** Build the place below the answer. `again` requests the answer anew; `start` sets the form's `values`. */
export function build(model, again, { values, start }) {
  const can = (what) => able(model, what)
  const wanted = { of: '', level: can('coverage') ? usualLevel(model) : '', each: false, change: false }
  const set = (key, value) => { wanted[key] = value; again() }
  const apply = (i, value) => start(values.map((now, k) => k === i ? value : now))
  const parts = model.outputs.map((output) => [
    can('explain') && contributions(model, output, values, (of) => set('of', of)),
    can('coverage') && labels(output, wanted, set),
    can('what_if') && change(model, output, () => set('change', true), apply),
  ].filter(Boolean))
  const refusals = [...new Set(model.outputs.flatMap((output) => output.cannot))].map((text) => capital(sentence(text)))
  const place = el('div', { className: 'why' }, ...parts.flat().map((part) => part.node), refusals.length ? el('p', { className: 'small cannot' }, refusals.join(' ')) : null)
  $('answer').append(place)
  return {
    /** The parameters to request with the answer. */
    asked: () => ({ explain: can('explain') ? shownOf(model) : '', class: wanted.of, coverage: wanted.level, by_class: wanted.each ? 'true' : '', what_if: wanted.change ? 'true' : '' }),
    show(prediction, problem) {
      place.classList.toggle('stale', Boolean(problem))
      if (prediction) parts.forEach((some, k) => { for (const part of some) part.show(model.outputs[k].title ? prediction.outputs[model.outputs[k].title] : prediction) })
    },
  }
}

const featureOf = (model, called) => typeof called === 'number' ? model.features[called] : model.features.find((f) => f.label === called)
const plain = (value) => value == null ? 'missing' : typeof value === 'number' ? short(value) : visible(value)

/** What each value contributes to the score of a class, the largest first: to the right for it, to the left against. */
function contributions(model, output, values, choose) {
  const { title, texts, multilabel } = output, shown = shownOf(model), more = model.used.length > shown
  const lines = Array.from({ length: shown + more }, part)
  const chosen = el('b'), pick = model.outputs.length === 1 && texts.length > 1 && classes(texts, choose)
  const sum = el('p', { className: 'small sum' }), read = el('div', { className: 'read' })
  const node = el('div', {}, el('h3', {}, 'Why ', pick || chosen, title ? [' for ', name(title)] : null),
    el('p', { className: 'sides small', 'aria-hidden': 'true' }, el('span', {}, '← against'), el('span', {}, 'for →')),
    el('ul', { className: 'bars parts', 'aria-label': 'What speaks for it and against it, the largest first' }, ...lines.map((line) => line.item)), sum, read)
  function show({ explanation, abstained }) {
    if (!explanation) return
    const { contributions: found, base, score, rest } = explanation, called = visible(explanation.class)
    const most = Math.max(...found.map((one) => Math.abs(one.contribution)), Math.abs(rest ?? 0)) || 1
    const decimals = Math.min(9, Math.max(0, 2 - Math.floor(Math.log10(most))))
    chosen.textContent = called
    if (pick) pick.answered(called, abstained || multilabel ? 'the likeliest' : 'the answer')
    lines.forEach((line, k) => line.show(k < shown ? found[k] && { ...found[k], f: featureOf(model, found[k].feature) } : { feature: `the other ${whole(model.used.length - shown)}`, contribution: rest ?? 0 }, most, decimals))
    sum.textContent = `From ${fixed(base, decimals)}, where every row starts, to ${fixed(score, decimals)}, the score of ${called}.`
    read.replaceChildren(...found.filter((one) => one.tokens?.length).flatMap((one) => marked(one, textOf(model, one, values), found.length > 1, decimals)))
  }
  return { node, show }
}
const textOf = (model, { feature, value }, values) => typeof value === 'string' ? value : values[featureOf(model, feature).i] ?? ''

/** The choice of the class that is explained: the answered one, or always the same one. */
function classes(texts, choose) {
  const answered = el('option', { value: '' }, 'this answer')
  const select = el('select', { 'aria-label': 'The class that is explained' }, answered, ...texts.map((text, k) => el('option', { value: k }, visible(text))))
  select.onchange = () => choose(select.value === '' ? '' : texts[Number(select.value)])
  return Object.assign(select, { answered: (called, as) => { if (select.value === '') answered.textContent = `${called}, ${as}` } })
}

function part() {
  const what = el('span', {}), made = bar(what, { around: true })
  return {
    item: made.item,
    show(found, most, decimals) {
      made.item.hidden = !found
      if (!found) return
      const { feature, f, value, tokens, contribution: c } = found, called = f?.label ?? visible(feature)
      what.replaceChildren(f ? name(called) : called, ...(f && !tokens ? [' ', el('bdi', { className: 'is' }, plain(f.type === 'boolean' ? Boolean(value) : value))] : []))
      made.item.title = what.textContent
      made.item.classList.toggle('for', c > 0)
      made.item.classList.toggle('against', c < 0)
      made.set(c / most, el('span', {}, signed(c, decimals), el('span', { className: 'sr' }, c > 0 ? ' for it' : c < 0 ? ' against it' : '')))
    },
  }
}

/** A text with its words coloured by their contribution, and below it the strongest words for and against. */
function marked({ feature, tokens }, text, several, decimals) {
  const cut = pieces(text, tokens), most = Math.max(...cut.map(({ sum }) => Math.abs(sum))) || 1
  const nodes = cut.map(({ piece, sum }) => Math.abs(sum) < most / 50 ? visibleLines(piece)
    : el('mark', { className: sum > 0 ? 'for' : 'against', title: signed(sum, 3), style: { '--share': `${Math.round(55 * Math.abs(sum) / most)}%` } }, visibleLines(piece)))
  const sums = new Map()
  for (const { text: word, contribution } of tokens) sums.set(word, (sums.get(word) ?? 0) + contribution)
  const order = [...sums].sort(([, a], [, b]) => b - a), side = (some) => inWords(some.map(([word, c]) => el('span', {}, name(word), ` ${signed(c, decimals)}`)))
  const pro = order.filter(([, c]) => c > 0).slice(0, TOLD), contra = order.filter(([, c]) => c < 0).reverse().slice(0, TOLD)
  return [el('p', { className: 'marked', dir: 'auto' }, several ? [el('span', { className: 'small' }, name(feature)), ' '] : null, ...nodes),
    el('p', { className: 'small' }, ...(pro.length ? ['Most for it: ', ...side(pro), '. '] : []), ...(contra.length ? ['Most against it: ', ...side(contra), '.'] : []))]
}
const visibleLines = (text) => text.split('\n').map(visible).join('\n')

/** The set of labels that holds the true one with the chosen coverage, in all cases or in those of each class. */
function labels({ title, can }, wanted, choose) {
  const found = el('p', { className: 'set' })
  const levels = can.coverage.map((one) => button(percent(one).replace('.0', ''), () => { choose('level', one); press() }))
  const each = el('input', { type: 'checkbox', onchange: () => choose('each', each.checked) })
  const press = () => {
    levels.forEach((node, k) => node.setAttribute('aria-pressed', String(can.coverage[k] === wanted.level)))
    each.checked = wanted.each
  }
  press()
  const node = el('div', {}, el('h3', {}, 'How sure', title ? [' (', name(title), ')'] : null), found,
    el('p', { className: 'small row', role: 'group', 'aria-label': 'How often the set holds the truth' }, el('span', {}, 'holds the truth in'), ...levels, el('span', {}, 'of cases'),
      el('label', { title: 'The set then holds the truth so often in the cases of each class, of rare ones too' }, each, ' of each class')))
  const show = (given) => {
    press()
    if (given.set) found.replaceChildren(...given.set.length ? inWords(given.set.map(name), 'or') : ['none of them: it is unlike the rows that were held out'])
  }
  return { node, show }
}

/** The smallest change of one value that gives another answer, as a button that makes it. */
function change(model, { title }, ask, apply) {
  const place = el('p', { className: 'change' }), first = button(['What would change the answer', ...(title ? [' to ', name(title)] : []), '?'], () => { place.replaceChildren('Looking for it.'); ask() })
  place.append(first)
  function show({ what_if: found }) {
    if (found === undefined) return
    if (!found) return place.replaceChildren('No change of a single value, within what it was trained on, gives another answer', ...(title ? [' to ', name(title)] : []), '.')
    const { feature, from, to, label } = found, f = featureOf(model, feature)
    place.replaceChildren(button([name(f.label), ' from ', name(told(from)), ' to ', name(told(to))], () => apply(f.i, typeof to === 'number' && !f.choices ? String(to) : valueOf(f, to)) /* in all digits: a rounded value may not change the answer */, { title: 'Make this change in the form' }), ' would make ', title ? name(title) : 'it', ' ', el('b', {}, name(label)), '.')
  }
  const told = (value) => value === null ? 'missing' : typeof value === 'number' ? short(value) : String(value)
  return { node: place, show }
}
