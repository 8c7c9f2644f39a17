// What a file's rows get beside labels: ticked before the file is sent, and only what the model can tell.
import { $, el } from './dom.js'
import { percent } from './text.js'
import { able, shownOf, usualLevel } from './why.js'

/** Build the ticks; return a function that reads them as parameters. */
export function build(model) {
  const explain = tick('why, by what each value adds'), set = tick('the labels that hold the truth in ')
  const each = tick('in every class'), change = tick('the smallest change that gives another')
  const level = el('select', { 'aria-label': 'How often the labels hold the truth' })
  const ticks = []
  if (able(model, 'explain')) ticks.push(explain.node)
  if (able(model, 'coverage')) {
    level.append(...model.outputs[0].can.coverage.map((one) => el('option', { value: one }, percent(one).replace('.0', ''))))
    level.value = usualLevel(model)
    ticks.push(el('span', {}, set.node, level, ' of cases '), each.node)
    level.onchange = () => { set.box.checked = true }
    each.box.onchange = () => { set.box.checked ||= each.box.checked }
    set.box.onchange = () => { each.box.checked &&= set.box.checked }
  }
  if (able(model, 'what_if')) ticks.push(change.node)
  $('asked').replaceChildren(...(ticks.length ? [el('span', {}, 'With each answer:'), ...ticks] : []))
  return () => ({
    explain: explain.box.checked && shownOf(model),
    coverage: set.box.checked && level.value,
    by_class: each.box.checked,
    what_if: change.box.checked,
  })
}

function tick(text) {
  const box = el('input', { type: 'checkbox' })
  return { box, node: el('label', {}, box, ` ${text}`) }
}
