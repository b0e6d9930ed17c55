import type { Arguments } from './arguments.ts'
import type { Output } from './output.ts'
import type { ShapeName } from './shapes.ts'

/** A command: what `--help` shows, and where its work is. Nothing else is loaded until it runs. */
export type Command = {
  /** One or two words: noun, verb. */
  readonly name: string
  readonly summary: string
  readonly positional?: { readonly name: string; readonly required: boolean; readonly max?: number }
  readonly options: readonly Option[]
  readonly examples: readonly string[]
  /** What it writes with --json, by its name in the table of shapes; or what is somebody else's to describe. */
  readonly prints: ShapeName | 'as-it-comes'
  readonly load: () => Promise<{ readonly execute: Execute }>
}

export type Option = {
  readonly name: string
  readonly short?: string
  /** How the value is called; an option without one is a flag. */
  readonly value?: string
  /** Its value may be left out; where it is given, it is after a `=`. */
  readonly bare?: true
  readonly summary: string
  /** The environment variable that is read when the flag is not given. */
  readonly env?: string
  /** What it is called in the file of settings, which is read when neither is given. */
  readonly setting?: string
  readonly default?: string
  /** For our own processes: works, is not shown. */
  readonly hidden?: true
}

export type Call = { readonly args: Arguments; readonly output: Output }
/** @returns the exit code. Throws Failure. */
export type Execute = (call: Call) => Promise<number>

export const state: Option = {
  name: 'state',
  value: '<folder>',
  env: 'CONSILIUM_HOME',
  summary: "the coordinator's folder; else $XDG_STATE_HOME/consilium",
}
export const coordinators: Option = {
  name: 'coordinator',
  value: '<url,url>',
  env: 'CONSILIUM_COORDINATOR',
  default: 'http://127.0.0.1:7410',
  summary: 'where the coordinator listens; of several processes of one all, and the node goes to whichever is there',
}
export const coordinator: Option = {
  name: 'coordinator',
  value: '<url>',
  env: 'CONSILIUM_COORDINATOR',
  setting: 'coordinator',
  default: 'http://127.0.0.1:7410',
  summary: 'where the coordinator listens',
}
export const key: Option = {
  name: 'key',
  value: '<file>',
  summary: 'file of the API key; else CONSILIUM_API_KEY, else that of consilium login, else <state>/api-key',
}
export const profile: Option = {
  name: 'profile',
  value: '<name>',
  env: 'CONSILIUM_PROFILE',
  summary: 'which coordinator of those that you logged in to',
}
const timeout: Option = {
  name: 'timeout',
  value: '<seconds>',
  setting: 'timeout',
  default: '60',
  summary: 'how long to wait until an answer begins',
}
/** Of what changes something at a coordinator by one request: {@link Unsent} is what it would be. */
export const dryRun: Option = {
  name: 'dry-run',
  summary: 'change nothing: show the request that would',
}
/** Of what makes something. */
export const idempotencyKey: Option = {
  name: 'idempotency-key',
  value: '<text>',
  summary: 'a repeat under the same key answers the first one',
}
/** Of what a run goes on after. */
export const wait: Option = {
  name: 'wait',
  value: '<until>',
  bare: true,
  summary: 'answer when it has come so far: ended, paused or running',
}
export const quota: Option = {
  name: 'quota',
  value: '<bytes>',
  default: '10737418240',
  summary: 'disk that each of the three stores of blocks may take',
}
export const tethered: Option = {
  name: 'tethered',
  summary: 'end when stdin closes: whoever started this is gone',
  hidden: true,
}
export const backend: Option = {
  name: 'backend',
  value: '<name>',
  default: 'auto',
  summary: 'auto, cuda, webgpu, node, wasm or cpu; consilium node backends tells which work here',
}
export const api = [coordinator, key, state, profile, timeout]
export const change = [...api, dryRun]
