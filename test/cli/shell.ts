import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Ran } from './command.ts'
import { checkPrinted } from './printed.ts'

/**
 * One process that runs one command line after another, since starting takes most of the time of a command that reads a
 * file and says what it found. What is about the process itself (stdin, signals, that it ends) is for `consilium`.
 */
export class Shell implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #answers: AsyncIterator<string>

  constructor({ cwd, env = {} }: { cwd?: string; env?: Readonly<Record<string, string>> } = {}) {
    const flags = ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'shell-process.ts')]
    this.#child = spawn(process.execPath, flags, {
      ...(cwd === undefined ? {} : { cwd }),
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { PATH: process.env['PATH'], HOME: '/nonexistent', LANG: 'C.UTF-8', ...env },
    })
    const { stdout } = this.#child
    if (!stdout) throw new Error('the shell has no output')
    this.#answers = createInterface(stdout)[Symbol.asyncIterator]()
  }

  /** One at a time. */
  async run(args: readonly string[]): Promise<Ran> {
    this.#child.stdin?.write(`${JSON.stringify(args)}\n`)
    const { value, done } = await this.#answers.next()
    if (done) throw new Error(`the shell ended in consilium ${args.join(' ')}`)
    const ran: Ran = JSON.parse(value)
    checkPrinted(args, ran)
    return ran
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin?.end()
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit')
  }
}
