import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { checkPrinted } from './printed.ts'

export const BIN = join(import.meta.dirname, '../../cli/bin.js')

export type Ran = { readonly code: number | null; readonly stdout: string; readonly stderr: string }

type Surroundings = {
  readonly cwd?: string
  readonly env?: Record<string, string>
  readonly input?: string
  /** A command that becomes this one in surroundings of its own. */
  readonly through?: readonly string[]
}

/** Runs the command as a process of its own, as a person would, with nothing of this machine's settings. What it prints as JSON is checked. */
export async function consilium(
  args: readonly string[],
  { cwd, env = {}, input = '', through = [] }: Surroundings = {},
): Promise<Ran> {
  const [command, ...rest] = [...through, process.execPath, BIN, ...args]
  const child = spawn(command as string, rest, {
    ...(cwd === undefined ? {} : { cwd }),
    env: { PATH: process.env['PATH'], HOME: '/nonexistent', LANG: 'C.UTF-8', ...env },
  })
  const read = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      read[stream] += text
    })
  child.stdin.on('error', () => undefined).end(input)
  const code = await new Promise<number | null>((settle) => child.on('close', settle))
  checkPrinted(args, read)
  return { code, ...read }
}

/** The objects of NDJSON output. */
export function jsonLines(text: string): readonly Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}
