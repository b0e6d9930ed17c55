import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/**
 * Runs a script until it has said so many lines, kills it as a power cut would end it, and answers every whole line it
 * said until then. Fails when it ends by itself.
 */
export async function linesUntilKilled(script: string, args: readonly string[], lines: number): Promise<string[]> {
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const said: string[] = []
  let errors = ''
  child.stderr.on('data', (chunk) => {
    errors += chunk
  })
  const ended = new Promise<NodeJS.Signals | null>((resolve) => child.on('close', (_code, signal) => resolve(signal)))
  for await (const line of createInterface(child.stdout)) {
    said.push(line)
    if (said.length === lines) child.kill('SIGKILL')
  }
  const signal = await ended
  if (signal !== 'SIGKILL') throw new Error(`the child ended by itself: ${errors}`)
  return said
}
