import { main } from '#cli/main.ts'
import type { Ran } from './command.ts'
import { checkPrinted } from './printed.ts'

/**
 * Runs a command line in this process, without the start of one of its own. What is about the process
 * itself (stdin, signals, that it ends) is for `consilium`, and what writes past its output for `Shell`.
 */
export async function here(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Ran> {
  const said = { stdout: '', stderr: '' }
  const into = (stream: keyof typeof said) => ({ write: (text: string) => (said[stream] += text) })
  const code = await main(args, {
    out: into('stdout'),
    err: into('stderr'),
    environment: { HOME: '/nonexistent', LANG: 'C.UTF-8', ...environment },
  })
  checkPrinted(args, said)
  return { code, ...said }
}
