import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { type Report, textOf } from './report.ts'

/** `npm run bench -- [name …] [--json]`: all of them when none is named. */
const benches: Readonly<Record<string, () => Promise<{ readonly bench: () => Promise<Report> }>>> = {
  aggregate: () => import('./aggregate.ts'),
  concurrency: () => import('./concurrency.ts'),
  'first-minute': () => import('./first-minute.ts'),
  journal: () => import('./journal.ts'),
  'round-overhead': () => import('./round-overhead.ts'),
  restart: () => import('./restart.ts'),
  secagg: () => import('./secagg.ts'),
  simulate: () => import('./simulate.ts'),
  train: () => import('./train.ts'),
  transfer: () => import('./transfer.ts'),
}

const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: 'boolean' } } })
const unknown = positionals.find((name) => !Object.hasOwn(benches, name))
if (unknown !== undefined) {
  process.stderr.write(`error  no benchmark ${unknown}\n  fix  one of: ${Object.keys(benches).join(', ')}\n`)
  process.exit(2)
}
const machine = `${cpus()[0]?.model.trim() ?? 'unknown'}, ${cpus().length} cores, Node ${process.versions.node}`
for (const [name, load] of Object.entries(benches)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue
  const report = await (await load()).bench()
  process.stdout.write(values.json ? `${JSON.stringify({ machine, ...report })}\n` : `${textOf(report)}\n${machine}\n`)
}
