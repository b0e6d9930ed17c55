import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { expect } from '@jest/globals'

/** What a process held after so many turns of its work, when its garbage was collected. */
export type Held = {
  readonly turn: number
  readonly tensors: number
  readonly heapBytes: number
  /** Outside the heap, of the objects in it: above all arrays of bytes. */
  readonly externalBytes: number
  readonly residentBytes: number
}

const KINDS = ['heapBytes', 'externalBytes', 'residentBytes'] as const

/**
 * What the work of a script holds, turn after turn, in a process of its own. Its young generation is kept small: that grows
 * by itself to many times what is in it, and would hide what is held for ever. So would compiled code that is let go of when
 * it was not needed for some time.
 *
 * @param script is given how many turns and how often to say what is held, and writes a {@link Held} a line
 */
export async function heldBy(script: string, turns: number, ...args: readonly string[]): Promise<readonly Held[]> {
  const collecting = pathToFileURL(join(import.meta.dirname, 'collecting.ts')).href
  const flags = [
    '--expose-gc',
    '--max-semi-space-size=1',
    '--no-flush-bytecode',
    '--disable-warning=ExperimentalWarning',
    '--import',
    collecting,
  ]
  const every = String(Math.max(1, turns / 20))
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, script, String(turns), every, ...args])
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
}

/**
 * Tensors are what they were after the first turn; and over the second half, when everything is warm, the heap, what is
 * outside it and the resident memory grow by no more than so many bytes a turn, by the straight line that is nearest to them.
 */
export function expectFlat(held: readonly Held[], most: Readonly<Record<(typeof KINDS)[number], number>>): void {
  const [first] = held
  for (const { tensors } of held) expect(tensors).toBe(first?.tensors)
  const warm = held.slice(held.length / 2)
  expect(warm.length).toBeGreaterThanOrEqual(5)
  const grown = KINDS.map((kind) => ({ kind, bytesATurn: slope(warm, (one) => one[kind]), most: most[kind] }))
  expect(grown.filter(({ bytesATurn, most }) => bytesATurn >= most)).toEqual([])
}

/** By least squares, a turn. */
function slope(held: readonly Held[], of: (one: Held) => number): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const turns = held.map(({ turn }) => turn)
  const [turn, value] = [mean(turns), mean(held.map(of))]
  const both = held.reduce((sum, one) => sum + (one.turn - turn) * (of(one) - value), 0)
  return both / turns.reduce((sum, one) => sum + (one - turn) ** 2, 0)
}
