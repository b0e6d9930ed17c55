import type { DataSource } from '../data/dataset.ts'
import type { BackendChoice } from '../trainers/backends/choice.ts'
import { element } from './element.ts'
import { NotPicked } from './faults.ts'

/** What the person at the page chose. */
export type Terms = {
  readonly data: DataSource
  readonly files: ReadonlyMap<string, File>
  readonly backend: BackendChoice
  readonly keepsAwake: boolean
}

/** Throws {@link NotPicked}. */
export function readTerms(): Terms {
  const kind = element('terms', HTMLFormElement).elements.namedItem('data') as RadioNodeList
  const chosen = sourceOf(kind.value)
  return {
    ...chosen,
    backend: element('backend', HTMLSelectElement).value as BackendChoice,
    keepsAwake: element('awake', HTMLInputElement).checked,
  }
}

function sourceOf(kind: string): Pick<Terms, 'data' | 'files'> {
  if (kind === 'csv') {
    const file = picked('csv', 'a CSV file')
    return { data: { kind: 'csv', path: file.name }, files: new Map([[file.name, file]]) }
  }
  if (kind === 'idx') {
    const [images, labels] = [picked('images', 'the images'), picked('labels', 'the labels')]
    // Two files may have one name, in two folders.
    const [first, second] = [`images ${images.name}`, `labels ${labels.name}`]
    return {
      data: { kind: 'idx', images: first, labels: second },
      files: new Map([
        [first, images],
        [second, labels],
      ]),
    }
  }
  return { data: { kind: 'public' }, files: new Map() }
}

function picked(id: string, what: string): File {
  const field = element(id, HTMLInputElement)
  const file = field.files?.[0]
  if (!file) throw new NotPicked(field, what)
  return file
}
