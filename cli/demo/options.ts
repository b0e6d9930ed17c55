import { existsSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { BackendChoice } from '#client/trainers/backends/choice.ts'
import { sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import type { Bytes } from '#protocol/ids.ts'
import { ROUNDS_MAX } from '#protocol/limits.ts'
import { type Arguments, usage } from '../arguments.ts'
import { backendOf } from '../backend.ts'

/** What a demo is asked for. */
export type DemoOptions = {
  readonly folder: string
  /** 32 bytes, the root of all randomness; and how the user wrote it. */
  readonly seed: Bytes
  readonly seedText: string
  readonly rounds: number
  readonly chaos: boolean
  readonly keep: boolean
  readonly backend: BackendChoice
  readonly data:
    | { readonly kind: 'digits'; readonly nodes: number }
    | ({ readonly kind: 'tables'; readonly folder: string } & Target)
}

/** The column to predict; or several, each of which is 1 or 0, or unknown. */
export type Predicted = string | readonly string[]
/** @param classes that a label has, where that is not to be seen */
export type Target = { readonly label: Predicted; readonly classes: number | undefined }

const NODES_MAX = 20
const NODES = 5

export function demoOptions(args: Arguments, now: Date): DemoOptions {
  const seedText = args.text('seed') ?? ''
  const options: DemoOptions = {
    folder: folderOf(args, now),
    seed: demoSeed(seedText),
    seedText,
    rounds: args.integer('rounds', { min: 1, max: ROUNDS_MAX - 1 }),
    chaos: args.flag('chaos'),
    keep: args.flag('keep'),
    backend: backendOf(args),
    data: dataOf(args),
  }
  if (options.chaos && options.rounds < 2)
    throw usage('bad_value', '--chaos kills a node in round 2, and there is none', '--rounds 2 or more')
  return options
}

/** The root of all randomness from what a user writes. @returns 32 bytes */
export function demoSeed(text: string): Bytes {
  return sha256(utf8(`consilium demo\0${text}`))
}

function dataOf(args: Arguments): DemoOptions['data'] {
  const folder = args.text('data')
  if (folder === undefined) {
    const stray = ['label', 'classes'].find((name) => args.text(name) !== undefined)
    if (stray) throw usage('missing_flag', `--${stray} is about your own data`, 'add --data <folder>, or leave it out')
    const nodes = args.text('nodes') === undefined ? NODES : args.integer('nodes', { min: 2, max: NODES_MAX })
    return { kind: 'digits', nodes }
  }
  if (args.text('nodes') !== undefined)
    throw usage('unexpected_flag', '--nodes is not for your own data', 'there is one node for each CSV file')
  return { kind: 'tables', folder: resolve(folder), ...targetOf(args) }
}

export function targetOf(args: Arguments): Target {
  const label = args.required('label', '--label <column>: the column to predict')
  const labels = args.texts('label')
  const classes = args.text('classes') === undefined ? undefined : args.integer('classes', { min: 2, max: 10 })
  if (labels.length < 2) return { label, classes }
  if (classes !== undefined)
    throw usage('unexpected_flag', '--classes is about one label', 'several are each 1 or 0: leave it out')
  return { label: labels, classes }
}

/** A new folder each time: what a demo left is never written over. */
function folderOf(args: Arguments, now: Date): string {
  const named = args.text('folder')
  if (named !== undefined) {
    const folder = resolve(named)
    if (existsSync(folder) && readdirSync(folder).length > 0)
      throw usage('folder_not_empty', `${named} is not empty`, 'name a folder that is new or empty')
    return folder
  }
  const stamp = now.toISOString().slice(0, 19).replace('T', '-').replaceAll(':', '')
  const base = resolve('.consilium', `demo-${stamp}`)
  for (let copy = 1; ; copy++) {
    const folder = copy === 1 ? base : `${base}-${copy}`
    if (!existsSync(folder)) return folder
  }
}

export function bundleOf({ folder }: DemoOptions): string {
  return join(folder, 'bundle.car')
}
