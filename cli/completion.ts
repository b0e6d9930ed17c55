import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { RootCommand } from '@bomb.sh/tab'
import { type Arguments, COMMON, parseArguments, usage } from './arguments.ts'
import type { Call, Command } from './command.ts'
import { COMMANDS } from './commands.ts'
import { EXIT } from './failure.ts'
import { readProfile } from './profile.ts'
import { COMPLETION } from './registry/settings.ts'
import { plain } from './render/width.ts'
import { apiKey } from './state.ts'

const SHELLS = ['bash', 'zsh', 'fish', 'powershell'] as const
const REMEMBERED_MILLIS = 300_000
/** Whoever pressed Tab waits for no network; what is remembered is told then, however old. */
const ASKED_MILLIS = 50
const RUNS_MAX = 50

/** `consilium completion <shell>`: the script, which calls `consilium complete` at each Tab. */
export async function execute({ args }: Call): Promise<number> {
  const shell = SHELLS.find((known) => known === args.positionals[0])
  if (!shell)
    throw usage('bad_value', `there is no completion for ${args.positionals[0]}`, `one of ${SHELLS.join(', ')}`)
  new RootCommand().setup('consilium', 'consilium', shell)
  return EXIT.ok
}

type Named = { readonly id: string; readonly name: string }

/** `consilium complete -- <words>`: what could come next, for the scripts. Nothing that goes wrong is said at a prompt. */
export async function complete(words: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const root = rootOf(await runsFor(words, environment).catch(() => []))
  root.parse([...words])
  return EXIT.ok
}

function rootOf(runs: readonly Named[]): RootCommand {
  const root = new RootCommand()
  for (const group of new Set(
    COMMANDS.filter(({ name }) => name.includes(' ')).map(({ name }) => name.split(' ')[0] ?? ''),
  ))
    if (!COMMANDS.some(({ name }) => name === group)) root.command(group, `consilium ${group} …`)
  for (const command of COMMANDS) {
    const known = root.command(command.name, command.summary)
    for (const option of [...command.options, ...COMMON]) {
      if (option.hidden) continue
      // A value of its own is what a handler tells an option to have.
      if (option.value === undefined || option.bare) known.option(option.name, option.summary, option.short)
      else known.option(option.name, option.summary, () => undefined, option.short)
    }
    if (takesRuns(command))
      known.argument(
        'run',
        (add) => {
          // A shell writes it into the command as it is: what is no id could be another command.
          for (const { id, name } of runs) if (/^run_[0-9A-Z]{26}$/.test(id)) add(id, name)
        },
        (command.positional?.max ?? 1) > 1,
      )
  }
  return root
}

function takesRuns({ positional }: Command): boolean {
  return /[<[]run\b/.test(positional?.name ?? '')
}

async function runsFor(words: readonly string[], environment: NodeJS.ProcessEnv): Promise<readonly Named[]> {
  const [one, two] = [words[0], words.slice(0, 2).join(' ')]
  const command = COMMANDS.find(({ name }) => name === two || name === one)
  if (!command || !takesRuns(command)) return []
  const asked = parseArguments(COMPLETION, [], environment)
  const args = asked.under(readProfile(asked))
  const url = args.text('coordinator') ?? ''
  const file = cacheOf(args)
  const kept = remembered(file)[url]
  if (kept && Date.now() - kept.at < REMEMBERED_MILLIS) return kept.runs
  const fresh = await askedOf(url, await apiKey(args, url)).catch(() => undefined)
  if (fresh) remember(file, url, fresh)
  return fresh ?? kept?.runs ?? []
}

async function askedOf(url: string, key: string): Promise<readonly Named[]> {
  const response = await fetch(`${url}/v1/runs?limit=${RUNS_MAX}`, {
    headers: { authorization: `Bearer ${key}` },
    signal: AbortSignal.timeout(ASKED_MILLIS),
  })
  const { data } = (await response.json()) as { data: readonly Named[] }
  return data.map(({ id, name }) => ({ id: plain(id), name: plain(name) }))
}

type Remembered = Readonly<Record<string, { readonly at: number; readonly runs: readonly Named[] }>>

function cacheOf({ environment }: Arguments): string {
  return join(environment['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'consilium/completion.json')
}

function remembered(file: string): Remembered {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return {}
  }
}

function remember(file: string, url: string, runs: readonly Named[]): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const part = `${file}.${process.pid}`
  writeFileSync(part, JSON.stringify({ ...remembered(file), [url]: { at: Date.now(), runs } }), { mode: 0o600 })
  renameSync(part, file)
}
