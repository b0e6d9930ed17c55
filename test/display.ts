import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { programAt } from './program.ts'

/** A display that nobody sees, for browsers that draw on none without one. */
export type Display = AsyncDisposable & { readonly environment: Readonly<Record<string, string>> }

/** The environment's XVFB, or the first on the PATH. */
export function displayPath(): string | undefined {
  return programAt('XVFB', 'Xvfb')
}

/** On the first number that is free, for this machine's own programs. What is drawn is drawn in software. */
export async function startDisplay(xvfb: string): Promise<Display> {
  const server = spawn(xvfb, ['-displayfd', '3', '-nolisten', 'tcp', '-screen', '0', '1280x800x24'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  })
  const ended = once(server, 'exit')
  const [number] = (await Promise.race([
    once(server.stdio[3] as NodeJS.ReadableStream, 'data'),
    ended.then(() => Promise.reject(new Error('there is no display'))),
  ])) as [Buffer]
  return {
    environment: { DISPLAY: `:${number.toString().trim()}`, LIBGL_ALWAYS_SOFTWARE: '1' },
    async [Symbol.asyncDispose]() {
      server.kill()
      await ended
    },
  }
}
