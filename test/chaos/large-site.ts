import { toyTrainer } from '#sim/toy.ts'
import { LiveSite } from '#test/live-site.ts'

/**
 * A site whose node runs alone in this process, so that its memory can be told from that of others; it has as much as it
 * takes. Says a line for everything that its node tells, and for the end how much memory it ever had.
 */
const [url = '', key = '', site = '0'] = process.argv.slice(2)
const stop = new AbortController()
process.once('SIGTERM', () => stop.abort())

const node = new LiveSite({
  name: `toy site ${site}`,
  trainer: toyTrainer(Number(site)),
  memoryBytesMax: Number.MAX_SAFE_INTEGER,
})
for await (const { kind } of node.live({ url, key: key as typeof node.signer.id }, stop.signal)) {
  const { maxRSS } = process.resourceUsage()
  process.stdout.write(`${JSON.stringify({ kind, peakMebibytes: Math.round(maxRSS / 1024) })}\n`)
}
