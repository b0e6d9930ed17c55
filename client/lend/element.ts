import { assert } from '#protocol/assert.ts'

/** An element of the page by its id. */
export function element<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id)
  assert(found instanceof kind, `the page has a ${kind.name} called ${id}`)
  return found
}

export function show(id: string, text: string): void {
  const found = element(id, HTMLElement)
  // A screen reader is told of a change, also of one to the same words.
  if (found.textContent !== text) found.textContent = text
}
