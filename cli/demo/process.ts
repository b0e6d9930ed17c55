import { type ChildProcess, spawn } from 'node:child_process'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { EXIT, Failure } from '../failure.ts'
import { packageOf } from '../package.ts'

/** How long a process may take to close cleanly before it is killed. */
const CLOSE_MILLIS = 10_000
/** Of a process's stderr, when it is quoted. */
const QUOTED_LINES = 8

/** One line of a process's stdout: an object with a type. */
export type Said = { readonly type: string; readonly [field: string]: unknown }

export type ConsiliumProcess = AsyncDisposable & {
  readonly name: string
  readonly pid: number
  /** Settles when the process has ended, for whatever reason: its exit code, or its signal. */
  readonly ended: Promise<number | NodeJS.Signals>
  /** Still there, as far as is known. */
  alive(): boolean
  /** What it says from now on. */
  listen(listener: (said: Said) => void): void
  /** The first thing of this type that it says, or said. Throws {@link Failure}, quoting its stderr, when it ends before. */
  first(type: string): Promise<Said>
  signal(signal: NodeJS.Signals): void
  /** Tells it to stop, cleanly and at once, whatever it is at: a node that only had a signal would finish its round. */
  stop(): void
  /** Why it ended, with the end of its stderr. */
  failure(): Promise<Failure>
}

/**
 * A consilium command as a process of its own: `args` with `--json --tethered`, so that it speaks in lines and ends when we
 * do, however we end. Its stderr goes to `<folder>/stderr.log`.
 * @param through a command that becomes this one in surroundings of its own, such as another network
 */
export async function startProcess(
  name: string,
  folder: string,
  args: readonly string[],
  through: readonly string[] = [],
): Promise<ConsiliumProcess> {
  const errors = join(folder, 'stderr.log')
  const stderr = await open(errors, 'a', 0o600)
  const command = [...through, process.execPath, packageOf().bin, ...args, '--json', '--tethered']
  const child = spawn(command[0] as string, command.slice(1), {
    stdio: ['pipe', 'pipe', stderr.fd],
    // Its own group: a terminal's Ctrl-C is for us, and we close our processes in order.
    detached: process.platform !== 'win32',
  })
  await stderr.close()
  return new Running(name, child, errors)
}

class Running implements ConsiliumProcess {
  readonly name: string
  readonly ended: Promise<number | NodeJS.Signals>
  readonly #child: ChildProcess
  readonly #errors: string
  readonly #listeners: ((said: Said) => void)[] = []
  readonly #said: Said[] = []

  constructor(name: string, child: ChildProcess, errors: string) {
    this.name = name
    this.#child = child
    this.#errors = errors
    this.ended = new Promise((settle) => {
      child.on('error', () => settle(EXIT.unexpected))
      child.on('close', (code, signal) => settle(code ?? signal ?? EXIT.unexpected))
    })
    // A process that ends first closes its stdin: nothing is ever written there.
    child.stdin?.on('error', () => undefined)
    if (child.stdout) createInterface({ input: child.stdout }).on('line', (line) => this.#hear(line))
  }

  get pid(): number {
    return this.#child.pid ?? -1
  }

  alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null && this.#child.pid !== undefined
  }

  listen(listener: (said: Said) => void): void {
    this.#listeners.push(listener)
  }

  async first(type: string): Promise<Said> {
    const before = this.#said.find((said) => said.type === type)
    if (before) return before
    const { promise, resolve } = Promise.withResolvers<Said>()
    this.listen((said) => {
      if (said.type === type) resolve(said)
    })
    const said = await Promise.race([promise, this.ended.then(() => undefined)])
    if (said) return said
    throw await this.failure()
  }

  signal(signal: NodeJS.Signals): void {
    if (this.alive()) this.#child.kill(signal)
  }

  stop(): void {
    this.signal('SIGTERM')
    this.#child.stdin?.end()
  }

  async failure(): Promise<Failure> {
    const how = await this.ended
    const written = await readFile(this.#errors, 'utf8').catch(() => '')
    const last = written.trimEnd().split('\n').slice(-QUOTED_LINES)
    return new Failure(EXIT.unexpected, 'process_ended', `${this.name} ended by itself (${how})`, {
      lines: last.filter((line) => line !== '').map((line) => [this.name, line] as const),
      fix: `all it wrote is in ${this.#errors}`,
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop()
    const late = setTimeout(() => this.signal('SIGKILL'), CLOSE_MILLIS)
    await this.ended
    clearTimeout(late)
  }

  #hear(line: string): void {
    let said: Said
    try {
      said = JSON.parse(line)
    } catch {
      return
    }
    // The first of each type is kept for whoever asks late; the rest is told and forgotten.
    if (!this.#said.some(({ type }) => type === said.type)) this.#said.push(said)
    for (const listener of this.#listeners) listener(said)
  }
}
