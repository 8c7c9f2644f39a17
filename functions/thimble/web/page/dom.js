// Make elements. Every text from a model or a file becomes a text node, never markup.
import { visible } from './text.js'

export const $ = (id) => document.getElementById(id)

/** Make an element with properties or attributes; null children are left out. */
export function el(tag, properties = {}, ...children) {
  return filled(document.createElement(tag), properties, children)
}

const SVG = 'http://www.w3.org/2000/svg'
export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag)
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value)
  node.append(...children)
  return node
}

function filled(node, properties, children) {
  for (const [key, value] of Object.entries(properties)) {
    if (value == null) continue
    if (key.includes('-') || key === 'role' || key === 'list') node.setAttribute(key, value)
    else if (key === 'style') for (const [name, set] of Object.entries(value)) node.style.setProperty(name, set)
    else node[key] = value
  }
  node.append(...children.flat().filter((child) => child != null && child !== false))
  return node
}

/** A name from a model or a file, isolated from the writing direction around it. */
export const name = (text) => el('bdi', {}, visible(text))

/** Nodes as a list in a sentence: a, b and c. */
export const inWords = (nodes, last = 'and') =>
  nodes.flatMap((node, i) => [i === 0 ? '' : i === nodes.length - 1 ? ` ${last} ` : ', ', node])

export const button = (text, onclick, properties = {}) => el('button', { type: 'button', onclick, ...properties }, ...[text].flat())

let spoken
/** Announce a text to screen readers, unless a newer one follows within `after` milliseconds. */
export function say(text, after = 900) {
  clearTimeout(spoken)
  spoken = setTimeout(() => { if ($('say').textContent !== text) $('say').textContent = text }, after)
}

/** A button that copies the return value of `text`, then says so in the element `told` (or itself) and aloud. */
export function copier(label, text, told, properties = {}) {
  const made = button(label, async () => {
    try {
      await navigator.clipboard.writeText(text())
      const node = told ?? made, before = told ? 'copy as' : label
      node.textContent = 'copied'
      say(`${label} copied`, 0)
      setTimeout(() => { node.textContent = before }, 1500)
    } catch { made.dispatchEvent(new CustomEvent('refused', { bubbles: true })) }
  }, properties)
  return made
}
