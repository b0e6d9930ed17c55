import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { chownSync, symlinkSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { BIN } from '#test/cli/command.ts'
import { temporaryFolder } from '#test/folder.ts'

export const DOCKER = join(import.meta.dirname, '../../docker')
const ENTRY = join(DOCKER, 'entry.sh')

/** The user of the images, where we may become another one; else we are none that is root already. */
const USER = 10_001
export const root = process.getuid?.() === 0
const user = root ? { uid: USER, gid: USER } : {}

/** Why nothing can run here as the images run it; undefined when it can. */
export function obstacle(): string | undefined {
  if (process.platform === 'win32') return 'the images run on Linux'
  const { status } = spawnSync(process.execPath, [BIN, 'version'], user)
  return status === 0 ? undefined : `uid ${USER} may not read this folder, and root is refused`
}

export type Running = {
  readonly child: ChildProcess
  /** Waits for the first line of stdout that holds the text. */
  line(text: string): Promise<Record<string, unknown>>
  readonly ended: Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>
}

/** What an image gives the entry script, in a folder instead of a file system: a state folder, a PATH, a user. */
export type Container = AsyncDisposable & {
  readonly folder: string
  readonly state: string
  /** Runs the entry script. @param under a program that is to start it */
  enter(args: readonly string[], env?: Readonly<Record<string, string>>, under?: readonly string[]): Running
  /** What HEALTHCHECK runs. @returns its exit code */
  health(role: 'coordinator' | 'node', env: Readonly<Record<string, string>>): Promise<number | null>
}

export async function container(): Promise<Container> {
  const scope = new AsyncDisposableStack()
  const { path: folder } = scope.use(await temporaryFolder())
  const [state, bin] = [join(folder, 'state'), join(folder, 'bin')]
  for (const made of [state, bin]) await mkdir(made, { mode: 0o700 })
  symlinkSync(BIN, join(bin, 'consilium'))
  symlinkSync(process.execPath, join(bin, 'node'))
  if (root) for (const made of [folder, state, bin]) chownSync(made, USER, USER)
  const environment = { PATH: `${bin}:/usr/sbin:/usr/bin:/bin`, LANG: 'C.UTF-8', CONSILIUM_HOME: state }

  function run(program: readonly string[], env: Readonly<Record<string, string>>, as: object): Running {
    const [file = '', ...args] = program
    const child = spawn(file, args, {
      cwd: folder,
      env: { ...environment, ...env },
      stdio: 'pipe',
      detached: true,
      ...as,
    })
    const said = { stdout: '', stderr: '' }
    for (const stream of ['stdout', 'stderr'] as const)
      child[stream].setEncoding('utf8').on('data', (text: string) => {
        said[stream] += text
      })
    let isOver = false
    const ended = new Promise<number | null>((settle) => child.on('close', settle)).finally(() => {
      isOver = true
    })
    scope.defer(async () => {
      // The whole group: whoever the script started, should it not have become it, holds the pipes, too. Once nobody does, its
      // number may be another's.
      try {
        if (!isOver) process.kill(-(child.pid as number), 'SIGKILL')
      } catch {
        // Nobody of it is left.
      }
      await ended
    })
    const lines = createInterface(child.stdout)
    return {
      child,
      line: (text) =>
        new Promise((settle, fail) => {
          lines.on('line', (line) => line.includes(text) && settle(JSON.parse(line)))
          void ended.then((code) => fail(new Error(`it ended with ${code} before it said ${text}: ${said.stderr}`)))
        }),
      ended: ended.then((code) => ({ code, ...said })),
    }
  }

  return {
    folder,
    state,
    enter: (args, env = {}, under = []) =>
      // Whoever makes a namespace is root in it and becomes the user afterwards.
      run([...under, '/bin/sh', ENTRY, ...args], env, under.length === 0 ? user : {}),
    health: async (role, env) =>
      (await run([process.execPath, join(DOCKER, 'health.mjs'), role], env, user).ended).code,
    [Symbol.asyncDispose]: () => scope.disposeAsync(),
  }
}

/** Starts a program as process 1 of a namespace of its own, as a container does; undefined where that is not allowed. */
export function asProcessOne(): readonly string[] | undefined {
  if (!root) return undefined
  const become = ['setpriv', '--reuid', `${USER}`, '--regid', `${USER}`, '--clear-groups', '--no-new-privs']
  const under = ['unshare', '--pid', '--fork', '--kill-child', ...become]
  return spawnSync(under[0] as string, [...under.slice(1), 'true']).status === 0 ? under : undefined
}
