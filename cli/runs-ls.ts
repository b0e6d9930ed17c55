import type { RunView } from '#sdk/views/runs.ts'
import { openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { plain } from './render/width.ts'

/** `consilium runs ls` */
export async function execute({ args, output }: Call): Promise<number> {
  const limit = args.integer('limit', { min: 1, max: 200 })
  const label = args.text('label')?.replace('=', ':')
  const runs = await (await openApi(args)).runs.list({ limit, ...(label !== undefined && { label }) }).page()
  if (output.json) output.object({ ...runs, data: runs.data.map(({ view }) => view) })
  else {
    for (const { view } of runs.data) output.line(rowOf(view))
    if (runs.data.length === 0)
      output.note(label === undefined ? 'no runs yet: consilium run task.json' : `no run is labelled ${label}`)
    if (runs.has_more) output.note(`more runs are older: --limit ${Math.min(200, limit * 2)}`)
  }
  return EXIT.ok
}

/** The id first and whole, so that it can be copied and cut; and how many training rounds have closed, while it goes on. */
function rowOf({ id, status, closed, rounds, evaluation, name }: RunView): string {
  const where = status === 'running' || status === 'paused' ? `${status} ${closed}/${rounds}` : status
  return plain([id, where.padEnd(14), (evaluation?.accuracy?.toFixed(4) ?? '-').padEnd(6), name].join('  '))
}
