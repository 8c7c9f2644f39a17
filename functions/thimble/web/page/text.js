// Numbers, names and quoted texts as people and programs read them. Nothing here touches the page.

const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g
const escaped = (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0')

/** A text whose control and direction characters are shown instead of obeyed. */
export const visible = (text) => String(text).replace(HIDDEN, escaped)
/** The same of a text of several lines, which stay. */
export const lines = (text) => String(text).split(/\r\n|[\r\n]/).map(visible).join('\n')
/** A literal that JSON, Python and JavaScript read alike. */
export const quoted = (text) => JSON.stringify(text).replace(HIDDEN, escaped)
export const shellQuoted = (text) => `'${text.replaceAll("'", "'\\''")}'`

const WORDS = ['no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten', 'eleven', 'twelve']
const minus = (text) => text.replace(/-/g, '−')
export const whole = (n) => n.toLocaleString('en')
export const spelled = (n) => WORDS[n] ?? whole(n)
export const plural = (n, one, many = one + 's') => `${spelled(n)} ${n === 1 ? one : many}`
export const counted = (n, one, many = one + 's') => `${whole(n)} ${n === 1 ? one : many}`

/** A share in percent, of which only 0 and 1 are shown as 0 % and 100 %. */
export function percent(share) {
  if (share === 0 || share === 1) return `${100 * share}\u00a0%`
  if (share < 0.0005) return '<\u00a00.1\u00a0%'
  if (share > 0.9995) return '>\u00a099.9\u00a0%'
  return `${(100 * share).toFixed(1)}\u00a0%`
}

/** A number in four digits, or all of a whole one. */
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

/** What is typed as a number, with a decimal comma or a real minus too; NaN of anything else. */
export function number(text) {
  const plain = String(text ?? '').trim().replace(/^[−–]/, '-').replace(/^([^.,]*),([^.,]*)$/, '$1.$2')
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain) ? Number(plain) : NaN
}

/** A sentence of the service. It may begin with the place in the body; on the page the place is the field. */
export const sentence = (text) => {
  const said = visible(text).replace(/^instances?(\[0\])?\.?/, '')
  return said + (/[.!?]$/.test(said) ? '' : '.')
}
export const capital = (text) => text.slice(0, 1).toUpperCase() + text.slice(1)

/** A text cut where tokens begin and end, each piece with the sum of those that cover it. Places count code points. */
export function pieces(text, tokens) {
  const points = [...text], cuts = [...new Set([0, points.length, ...tokens.flatMap(({ start, end }) => [start, end])])].sort((a, b) => a - b)
  const sums = new Map(cuts.map((cut) => [cut, 0]))
  for (const { start, end, contribution } of tokens) for (const cut of cuts.slice(cuts.indexOf(start), cuts.indexOf(end))) sums.set(cut, sums.get(cut) + contribution)
  return cuts.slice(0, -1).map((cut, k) => ({ piece: points.slice(cut, cuts[k + 1]).join(''), sum: sums.get(cut) }))
}
