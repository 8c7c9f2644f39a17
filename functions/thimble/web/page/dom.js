// Elements. Every text of a model or a file becomes a text node, never markup.
import { visible } from './text.js'

export const $ = (id) => document.getElementById(id)

/** An element: properties where it has such, attributes else; null children are left out. */
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

/** A name of somebody else's: isolated from the direction of what surrounds it. */
export const name = (text) => el('bdi', {}, visible(text))

/** Nodes as a list in words: a, b and c. */
export const inWords = (nodes, last = 'and') =>
  nodes.flatMap((node, i) => [i === 0 ? '' : i === nodes.length - 1 ? ` ${last} ` : ', ', node])

export const button = (text, onclick, properties = {}) => el('button', { type: 'button', onclick, ...properties }, ...[text].flat())

let spoken
/** Say something to a screen reader, once nothing newer came for a moment. */
export function say(text, after = 900) {
  clearTimeout(spoken)
  spoken = setTimeout(() => { if ($('say').textContent !== text) $('say').textContent = text }, after)
}

/** A button that copies what `text` returns when it is pressed, and says so: `told` in words, and aloud. */
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
