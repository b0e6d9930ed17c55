import { readFile } from 'node:fs/promises'
import { registerHooks } from 'node:module'
import { extname, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'
import { usage } from './arguments.ts'
import { EXIT, Failure } from './failure.ts'
import type { Output } from './output.ts'

/** What `POST /v1/runs` takes, as a task file says it. Nothing of it is checked here. */
export type TaskFile = { readonly task?: object }

/** What is run, and not only read. */
const CODE = ['.ts', '.mts', '.js', '.mjs']

/**
 * A JSON file is read; a TypeScript or JavaScript file is a program, which is run here, with all that its user may do, and
 * has to export `task`. Whoever was sent a task by somebody else wants the JSON.
 *
 * @param file - is stdin, which is JSON
 */
export async function readTaskFile(file: string, output: Pick<Output, 'note'>): Promise<TaskFile> {
  if (!CODE.includes(extname(file)))
    return parsed(file, await (file === '-' ? text(process.stdin) : readFile(file, 'utf8')))
  // Reading it tells first of one that is not there.
  await readFile(file)
  output.note(`${file} is code: it is run here`)
  return parsed(file, JSON.stringify(await evaluated(file)))
}

function parsed(file: string, json: string): TaskFile {
  let order: unknown
  try {
    order = JSON.parse(json)
  } catch (cause) {
    throw usage('bad_task', `${file} is not JSON: ${cause instanceof Error ? cause.message : cause}`)
  }
  if (order === null || typeof order !== 'object' || Array.isArray(order))
    throw usage('bad_task', `${file} is not a task: JSON with task, rounds and cohort`)
  return order
}

async function evaluated(file: string): Promise<unknown> {
  const hooks = registerHooks({ resolve: (name, context, next) => next(ownSdk(name) ?? name, context) })
  let module: { readonly task?: unknown; readonly default?: unknown }
  try {
    module = await import(pathToFileURL(resolve(file)).href)
  } catch (cause) {
    const why = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause)
    throw new Failure(EXIT.usage, 'bad_task', `${file} cannot be run: ${why}`, { cause })
  } finally {
    hooks.deregister()
  }
  const task = module.task ?? module.default
  if (task !== undefined && typeof task !== 'function') return task
  throw usage('bad_task', `${file} exports no task`, 'export const task = defineTask({ … })')
}

/** A task file finds the SDK of the command that runs it, so that it needs nothing installed beside it. */
function ownSdk(name: string): string | undefined {
  const file = /^consilium\/sdk(?:\/(\w+(?:-\w+)*))?$/.exec(name)
  return file ? new URL(`../sdk/${file[1] ?? 'client'}${extname(import.meta.url)}`, import.meta.url).href : undefined
}
