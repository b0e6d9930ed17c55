import { enableCompileCache } from 'node:module'
import { createInterface } from 'node:readline'

/** Reads the arguments of a command from each line of stdin, runs it, and writes a line with all that it said and its code. */
enableCompileCache()
const { main } = await import('#cli/main.ts')
const said = { stdout: '', stderr: '' }
const answer = process.stdout.write.bind(process.stdout)
for (const stream of ['stdout', 'stderr'] as const) {
  process[stream].setMaxListeners(0)
  process[stream].write = (text: string | Uint8Array) => {
    said[stream] += typeof text === 'string' ? text : Buffer.from(text).toString()
    return true
  }
}
for await (const line of createInterface(process.stdin)) {
  Object.assign(said, { stdout: '', stderr: '' })
  const code = await main(JSON.parse(line))
  answer(`${JSON.stringify({ code, ...said })}\n`)
}
