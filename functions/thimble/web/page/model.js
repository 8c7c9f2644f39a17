// A model's card in the page's own form. A value that the document lacks is null.
import { json, query } from './service.js'

export async function read(wanted) {
  const card = await json(`model${query(wanted)}`)
  const features = card.features.map((feature, i) => described(feature, i, card))
  return {
    ...card,
    wanted,
    features,
    used: features.filter((f) => f.type !== 'unused'),
    outputs: outputs(card),
    examples: card.examples ?? [],
    about: card.about ?? {},
    rows: card.reference?.rows ?? card.training?.rows ?? null,
  }
}

function outputs(card) {
  const names = card.output_names ?? Object.keys(card.outputs ?? { '': 0 })
  return names.map((title, i) => {
    const output = card.outputs ? Object.entries(card.outputs).find(([key]) => key === title)[1] : card
    const counts = card.reference?.outputs[i]?.classes
    return {
      title,
      prefix: title && `${title}.`,
      texts: output.class_texts ?? output.classes.map(String),
      multilabel: output.multilabel,
      probabilities: output.has_probabilities,
      threshold: output.threshold ?? null,
      shares: counts?.map((n) => n / card.reference.rows) ?? null,
      can: output.can,
      cannot: Object.values(output.cannot),
    }
  })
}

function described(feature, i, card) {
  const { seen, categories } = feature
  const named = card.feature_names_in != null
  const found = {
    i, named, type: feature.type === 'free_text' ? 'text' : feature.type, optional: feature.may_be_missing, label: named ? card.feature_names_in[i] : `value ${i + 1}`,
    low: null, high: null, bars: null, decimals: null, middle: null, choices: null, open: false, missing: null,
  }
  if (seen) found.missing = seen.missing / seen.rows
  if (feature.type === 'boolean') found.choices = booleans(seen)
  else if (categories && feature.categories_in_all <= categories.length) {
    found.open = Boolean(feature.accepts_unknown)
    found.choices = categories.map(({ value, count }) => ({ value, share: count == null || !seen ? null : count / seen.rows }))
    found.choices.sort((a, b) => (b.share ?? 0) - (a.share ?? 0))
  } else if (seen && feature.type === 'number') Object.assign(found, numbers(seen))
  return found
}

function booleans(seen) {
  const yes = seen?.histogram && seen.rows && seen.low !== seen.high ? seen.histogram.at(-1) / seen.rows : null
  return [true, false].map((value) => ({ value, share: yes == null ? null : value ? yes : 1 - yes - seen.missing / seen.rows }))
}

/** The range of a number, and the bars of its histogram, each with its edges and its number of rows. */
function numbers({ low, high, histogram, edges, counts, decimals }) {
  if (low == null || high == null) return {}
  const equal = histogram && histogram.map((n, k) => ({ from: low + (high - low) * k / histogram.length, to: low + (high - low) * (k + 1) / histogram.length, n }))
  const bars = equal ?? counts.map((n, k) => ({ from: edges[k], to: edges[k + 1] ?? edges[k], n }))
  return { low, high, bars, middle: middle(bars, low), decimals: decimals ?? digits(high - low, high) }
}

const digits = (range, high) => Math.min(12, Math.max(0, 2 - Math.floor(Math.log10(range || Math.abs(high) || 1))))

function middle(bars, low) {
  let left = bars.reduce((sum, bar) => sum + bar.n, 0) / 2
  for (const { from, to, n } of bars) {
    if (n && left <= n) return from + (to - from) * left / n
    left -= n
  }
  return low
}

/** The values with which the form starts: those of an example, or the most usual ones. */
export function rowOf(model, example) {
  return model.features.map((f, i) => {
    const value = example ? example.row[i] : f.choices ? f.choices[0].value : f.type === 'text' ? '' : f.middle ?? 0
    return valueOf(f, value)
  })
}
/** A JSON value in the form's own type. */
export function valueOf(f, value) {
  if (f.type === 'unused' || value === null) return null
  if (f.type === 'boolean') return Boolean(value)
  return f.choices || f.type === 'text' ? value : asTyped(f, value)
}
/** A number as text, rounded to the decimals of the training data, or to four if these have fewer. */
export const asTyped = (f, x) => String(Number.isInteger(x) || f.decimals == null ? x : Number(x.toFixed(Math.max(f.decimals, 4))))
export const rounded = (f, x) => String(f.decimals == null ? x : Number(x.toFixed(f.decimals)))
