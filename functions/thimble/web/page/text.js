// Format numbers, names and texts for people and for programs. Nothing here touches the page.

const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g
const escaped = (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0')

/** A text with its control and direction characters escaped, so that they are visible. */
export const visible = (text) => String(text).replace(HIDDEN, escaped)
/** The same for a text of several lines, which are kept. */
export const lines = (text) => String(text).split(/\r\n|[\r\n]/).map(visible).join('\n')
/** A string literal that is the same in JSON, Python and JavaScript. */
export const quoted = (text) => JSON.stringify(text).replace(HIDDEN, escaped)
export const shellQuoted = (text) => `'${text.replaceAll("'", "'\\''")}'`

const WORDS = ['no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten', 'eleven', 'twelve']
const minus = (text) => text.replace(/-/g, '−')
export const whole = (n) => n.toLocaleString('en')
export const spelled = (n) => WORDS[n] ?? whole(n)
export const plural = (n, one, many = one + 's') => `${spelled(n)} ${n === 1 ? one : many}`
export const counted = (n, one, many = one + 's') => `${whole(n)} ${n === 1 ? one : many}`

/** A share in percent; only exactly 0 and 1 are shown as 0 % and 100 %. */
export function percent(share) {
  if (share === 0 || share === 1) return `${100 * share}\u00a0%`
  if (share < 0.0005) return '<\u00a00.1\u00a0%'
  if (share > 0.9995) return '>\u00a099.9\u00a0%'
  return `${(100 * share).toFixed(1)}\u00a0%`
}

/** A number in four significant digits; a whole number in all its digits. */
export function short(x) {
  const size = Math.abs(x)
  if (Number.isInteger(x) && size < 1e7) return minus(String(x))
  return minus(String(Number(x.toPrecision(4)))).replace('e+', 'e')
}
export const fixed = (x, decimals) => Math.abs(x) < 1e7 ? minus(x.toFixed(decimals).replace(/^-(?=[0.]*$)/, '')) : short(x)
export const signed = (x, decimals) => (Number(x.toFixed(decimals)) > 0 ? '+' : '') + fixed(x, decimals)

export function bytes(n) {
  const unit = n < 1e6 ? ['kB', 1e3] : n < 1e9 ? ['MB', 1e6] : ['GB', 1e9]
  return `${n < 1e3 ? '< 1' : Number((n / unit[1]).toPrecision(3))}\u00a0${unit[0]}`
}

/** Parse a typed number, also with a decimal comma or a minus sign (−); NaN for anything else. */
export function number(text) {
  const plain = String(text ?? '').trim().replace(/^[−–]/, '-').replace(/^([^.,]*),([^.,]*)$/, '$1.$2')
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain) ? Number(plain) : NaN
}

/** A sentence from the service, without the place in the body with which it may begin. */
export const sentence = (text) => {
  const said = visible(text).replace(/^instances?(\[0\])?\.?/, '')
  return said + (/[.!?]$/.test(said) ? '' : '.')
}
export const capital = (text) => text.slice(0, 1).toUpperCase() + text.slice(1)

/** Cut a text where tokens begin and end; each piece has the summed contribution of the tokens that cover it.
 * Token positions count code points. */
export function pieces(text, tokens) {
  const points = [...text], cuts = [...new Set([0, points.length, ...tokens.flatMap(({ start, end }) => [start, end])])].sort((a, b) => a - b)
  const sums = new Map(cuts.map((cut) => [cut, 0]))
  for (const { start, end, contribution } of tokens) for (const cut of cuts.slice(cuts.indexOf(start), cuts.indexOf(end))) sums.set(cut, sums.get(cut) + contribution)
  return cuts.slice(0, -1).map((cut, k) => ({ piece: points.slice(cut, cuts[k + 1]).join(''), sum: sums.get(cut) }))
}
