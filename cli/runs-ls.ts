import { type RunStatus, statusField } from '#coordinator/api/run-views.ts'
import { nearest } from '#protocol/nearest.ts'
import type { RunView } from '#sdk/views/runs.ts'
import { openApi } from './api-client.ts'
import { type Arguments, usage } from './arguments.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { plain } from './render/width.ts'
import { sinceOf } from './since.ts'

/** `consilium runs ls` */
export async function execute({ args, output }: Call): Promise<number> {
  const limit = args.integer('limit', { min: 1, max: 200 })
  const filter = filterOf(args, Date.now())
  const runs = await (await openApi(args)).runs.list({ limit, ...filter }).page()
  if (output.json) output.object({ ...runs, data: runs.data.map(({ view }) => view) })
  else {
    for (const { view } of runs.data) output.line(rowOf(view))
    if (runs.data.length === 0) output.note(noneOf(args))
    if (runs.has_more) output.note(`more runs are older: --limit ${Math.min(200, limit * 2)}`)
  }
  return EXIT.ok
}

function filterOf(args: Arguments, now: number) {
  const statuses = args.texts('status').flatMap((text) => text.split(',').map(statusIn))
  const since = sinceOf(args, now)
  return {
    label: args.text('label')?.replace('=', ':'),
    status: statuses.length === 0 ? undefined : statuses,
    createdAfter: since === undefined ? undefined : new Date(since).toISOString(),
  }
}

function statusIn(text: string): RunStatus {
  const known = statusField.options.find((status) => status === text)
  if (known !== undefined) return known
  const close = nearest(text, statusField.options)
  throw usage(
    'bad_value',
    `--status is ${statusField.options.join(' or ')}, not ${text}`,
    close && `did you mean ${close}?`,
  )
}

function noneOf(args: Arguments): string {
  const asked = (['status', 'since', 'label'] as const).filter((name) => args.has(name))
  if (asked.length === 0) return 'no runs yet: consilium run task.json'
  return `no run is so: ${asked.map((name) => `--${name} ${args.texts(name).join(',')}`).join(' ')}`
}

/** The id first and whole, so that it can be copied and cut; and how many training rounds have closed, while it goes on. */
function rowOf({ id, status, closed, rounds, evaluation, name }: RunView): string {
  const where = status === 'running' || status === 'paused' ? `${status} ${closed}/${rounds}` : status
  return plain([id, where.padEnd(14), (evaluation?.accuracy.toFixed(4) ?? '-').padEnd(6), name].join('  '))
}
