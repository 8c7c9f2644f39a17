// The answer to the form's values: requested after each change, one request at a time, shown without moving the rest.
import { $, el, inWords, name, say } from './dom.js'
import { bar } from './charts.js'
import { capital, percent, plural, sentence, short, visible } from './text.js'

const MOST = 12 // classes shown in the model's order; if there are more, the likeliest are shown
const LIKELIEST = 10

/** The number of classes to request; '' for all. */
export const top = (model) => model.outputs.some((o) => o.texts.length > MOST) ? LIKELIEST : ''

/** Build the place of the answer. `show` takes a prediction or null, a problem or '', and the names of the values
 * outside the training data. */
export function build(model) {
  const blocks = model.outputs.map((output) => block(output, model.outputs.length))
  const legend = el('p', { className: 'small legend' }, explained(model.outputs)), outside = el('p', { className: 'outside' })
  $('answer').replaceChildren(...blocks.flatMap((b) => [b.verdict, b.list]), legend, outside)
  function show(prediction, problem, beyond = []) {
    blocks.forEach((b, k) => b.show(prediction && (b.output.title ? own(prediction.outputs, b.output.title) : prediction), k ? problem && ' ' : problem))
    outside.textContent = problem || !beyond.length ? '' : `Outside what it was trained on: ${beyond.slice(0, 3).map(visible).join(', ')}${beyond.length > 3 ? ` and ${beyond.length - 3} more` : ''}.`
    if (blocks.length === 1) blocks[0].far.textContent = outside.textContent && 'outside what it was trained on'
    if (problem) say(problem)
    else if (prediction) say(`${blocks.map((b) => b.verdict.querySelector('.found').textContent).join('; ')}. ${outside.textContent}`)
  }
  return { show, busy: (yes) => $('answer').setAttribute('aria-busy', String(yes)) }
}

const own = (object, key) => Object.hasOwn(object, key) ? object[key] : undefined

function block(output, many) {
  const { title, texts, multilabel, probabilities, threshold, shares } = output
  const far = el('p', { className: 'far', 'aria-hidden': 'true' }), label = el('span', { className: 'label' }), sure = el('span', { className: 'sure' }), problem = el('p', { className: 'problem' }), unsure = el('p', { className: 'unsure' })
  const verdict = el('div', { className: `verdict${multilabel ? ' several' : ''}${many === 1 ? ' only' : ''}` },
    title ? el('p', { className: 'small' }, name(title)) : null, el('p', { className: 'found' }, label, ' ', sure), unsure, far, problem)
  verdict.style.setProperty('--longest', multilabel ? 14 : Math.min(40, Math.max(...texts.map((text) => text.length), 6)))
  const all = texts.length <= MOST
  const lines = (all ? texts : texts.slice(0, LIKELIEST)).map((text, k) => line(all ? text : null, all ? marks(output, k) : [], probabilities))
  const list = el('ul', { className: texts.some((text) => text.length > 20) ? 'bars long' : 'bars', 'aria-label': title ? `All answers to ${visible(title)}` : all ? 'All classes' : 'The likeliest classes' }, ...lines.map((l) => l.item))

  function show(found, trouble) {
    problem.textContent = trouble
    verdict.classList.toggle('off', Boolean(trouble)); list.classList.toggle('stale', Boolean(trouble))
    if (!found) return
    const given = found.probabilities ?? found.scores, won = found.abstained ? [] : (found.labels ?? [found.label]).map(String)
    label.replaceChildren(...(found.abstained ? ['no answer'] : won.length ? inWords(won.map(name)) : ['none of them']))
    verdict.classList.toggle('abstains', Boolean(found.abstained))
    unsure.textContent = found.abstained ? capital(sentence(found.abstained)) : ''
    sure.textContent = found.abstained ? '' : found.probability != null ? percent(found.probability) : found.score != null ? short(found.score) : ''
    const numbers = (all ? texts : Object.keys(given).sort((a, b) => given[b] - given[a])).map((text) => [text, own(given, text) ?? 0])
    const most = probabilities ? 1 : Math.max(...numbers.map(([, n]) => Math.abs(n))) || 1
    lines.forEach((l, k) => { if (numbers[k]) l.show(...numbers[k], most, won.some((w) => w === numbers[k][0])) })
  }
  return { output, verdict, list, far, show }
}

function line(text, marks, probabilities) {
  const what = el('bdi', {}, text == null ? '' : visible(text)), made = bar(what, { marks, around: !probabilities, title: text == null ? '' : visible(text) })
  return {
    item: made.item,
    show(called, n, most, won) {
      if (text == null && what.textContent !== visible(called)) what.textContent = made.item.title = visible(called)
      made.item.classList.toggle('won', won)
      made.set(n / most, probabilities ? percent(n) : short(n))
    },
  }
}

/** The mark on a rail: the threshold from which a class is the answer, or the class's share in training. */
function marks({ multilabel, probabilities, threshold, texts, shares }, k) {
  if (!probabilities) return []
  if (threshold != null && (multilabel || k === texts.length - 1)) return [{ at: threshold, kind: 'threshold' }]
  return threshold == null && shares ? [{ at: shares[k] }] : []
}

function explained(outputs) {
  const decided = outputs.find((o) => o.threshold != null && o.probabilities), counted = outputs.find((o) => o.threshold == null && o.shares && o.probabilities && o.texts.length <= MOST)
  const parts = []
  if (decided?.multilabel) parts.push(`The line: above ${percent(decided.threshold)} a label applies.`)
  else if (decided) parts.push('The line: above ', percent(decided.threshold), ' the answer is ', name(decided.texts.at(-1)), '.')
  if (counted) parts.push(parts.length ? ' ' : '', 'The ticks: how often it gave each answer in training.')
  const wide = outputs.find((o) => o.texts.length > MOST)
  if (wide) parts.push(parts.length ? ' ' : '', `The ${LIKELIEST} likeliest of ${plural(wide.texts.length, 'class', 'classes')}.`)
  if (outputs.some((o) => o.multilabel)) parts.push(' Labels apply on their own: they do not sum to 100 %.')
  return el('span', {}, ...parts)
}

/** Call `send` soon after a change; a change during a request leads to one more request after it. */
export function asker(send) {
  const PAUSE = 90
  let timer = null, busy = false, again = false
  async function run() {
    timer = null
    if (busy) { again = true; return }
    busy = true
    do { again = false; await send() } while (again)
    busy = false
  }
  return { changed() { timer ??= setTimeout(run, PAUSE) }, now() { clearTimeout(timer); return run() } }
}
