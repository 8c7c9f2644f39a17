// The same request from elsewhere: the form's values in curl, Python and JavaScript, and lines for other clients.
import { $, button, copier, el } from './dom.js'
import { address, auth, query } from './service.js'
import { number, quoted, shellQuoted } from './text.js'

const PLAIN = { null: 'null', true: 'true', false: 'false', key: quoted }
const PYTHON = { null: 'None', true: 'True', false: 'False', key: quoted }
const SCRIPT = { ...PLAIN, key: (text) => text === '__proto__' ? '["__proto__"]' : quoted(text) } // a plain key would set the prototype

const cell = (f, value, words) => {
  if (value === null || typeof value === 'boolean') return words[value]
  if (f.type === 'number') return Number.isFinite(Number(value)) && typeof value === 'number' ? String(value) : Number.isFinite(number(value)) ? String(number(value)) : words.null
  return quoted(value)
}
/** A row as a literal. It is not made from an object, which would reorder names such as 1. */
function literal(model, values, words = PLAIN) {
  if (!model.used[0]?.named) return `[${model.features.map((f) => cell(f, values[f.i], words)).join(', ')}]`
  return `{${model.used.map((f) => `${words.key(f.label)}: ${cell(f, values[f.i], words)}`).join(', ')}}`
}

/** The body that the page itself sends: a list, which is shorter than an object. */
export const body = (model, values) => `{"instance":[${model.features.map((f) => cell(f, values[f.i], PLAIN)).join(',')}]}`
export const path = (model, more = {}) => `classify${query({ ...model.wanted, ...more })}`

const target = (model) => address(path(model))
const SNIPPETS = {
  curl: (model, values) => [`curl -s ${shellQuoted(target(model))}`, "-H 'content-type: application/json'", ...(auth.token ? ['-H "authorization: Bearer $TOKEN"'] : []), `-d ${shellQuoted(`{"instance": ${literal(model, values)}}`)}`].join(' \\\n  '),
  Python: (model, values) => `import requests\n\nanswer = requests.post(\n    ${quoted(target(model))},\n    json={"instance": ${literal(model, values, PYTHON)}},\n${auth.token ? '    headers={"authorization": f"Bearer {token}"},\n' : ''})\nanswer.raise_for_status()\nprint(answer.json()["predictions"][0])`,
  JavaScript: (model, values) => `const answer = await fetch(${quoted(target(model))}, {\n  method: 'POST',\n  headers: { 'content-type': 'application/json'${auth.token ? ', authorization: `Bearer ${token}`' : ''} },\n  body: JSON.stringify({ instance: ${literal(model, values, SCRIPT)} }),\n})\nif (!answer.ok) throw new Error((await answer.json()).error)\nconsole.log((await answer.json()).predictions[0])`,
}

/** Build the buttons beside the answer, and the code that they copy at the end of the page. */
export function build(model, values) {
  let chosen = 'curl'
  const draw = () => {
    $('code').textContent = SNIPPETS[chosen](model, values)
    for (const tab of $('tabs').children) tab.setAttribute('aria-pressed', String(tab.textContent === chosen))
  }
  const choose = (kind) => { chosen = kind; draw() }
  $('tabs').replaceChildren(...Object.keys(SNIPPETS).map((kind) => button(kind, () => choose(kind))))
  const lead = el('span', { className: 'small' }, 'copy as')
  const copies = Object.keys(SNIPPETS).map((kind) => copier(kind, () => SNIPPETS[kind](model, values), lead))
  copies.forEach((copy, k) => copy.addEventListener('refused', () => { choose(Object.keys(SNIPPETS)[k]); $('code').focus() }))
  $('answer').append(el('p', { className: 'copies' }, lead, ...copies))
  $('copycode').replaceChildren(copier('copy', () => $('code').textContent))
  $('protocols').replaceChildren(...protocols(model))
  draw()
  return draw
}

function protocols(model) {
  const base = address('').replace(/\/$/, ''), { host, protocol } = new URL(base), called = model.wanted.model || model.name || 'default'
  const tls = protocol === 'https:' ? ', ssl=True' : '', token = auth.token ? ' -H "authorization: Bearer $TOKEN"' : ''
  const served = JSON.stringify(called), at = (path) => shellQuoted(address(path))
  const rows = [
    ['a table', `curl -s ${at(path(model))} -H 'content-type: text/csv'${token} --data-binary @FILE.csv`],
    ['a table with bad rows', `curl -s ${at(path(model, { rejected: 'report' }))} -H 'content-type: text/csv'${token} --data-binary @FILE.csv`],
    ['TensorFlow Serving, Vertex AI', `curl -s ${at(`v1/models/${encodeURIComponent(called)}:predict`)}${token} -d @ROWS.json`],
    ['Triton', `tritonclient.http.InferenceServerClient(${quoted(host)}${tls}).infer(${served}, [tensor])`],
    ['KServe V2', `await InferenceRESTClient(RESTConfig(protocol="v2")).infer(${quoted(base)}, request, model_name=${served})`],
    ['boto3', `boto3.client("sagemaker-runtime", endpoint_url=${quoted(base)}).invoke_endpoint(EndpointName=${served}, ContentType="text/csv", Body=rows)`],
    ['MLflow', `curl -s ${at('invocations')} -H 'content-type: application/json'${token} -d '{"dataframe_records": [...]}'`],
  ]
  return rows.map(([term, code]) => el('div', {}, el('dt', {}, term), el('dd', {}, el('code', {}, code)), el('dd', {}, copier('copy', () => code, null, { 'aria-label': `copy the line for ${term}` }))))
}
