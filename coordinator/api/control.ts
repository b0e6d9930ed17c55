import type { Unstamped } from '../live.ts'
import type { Run } from '../run.ts'
import type { Caller } from './caller.ts'
import type { Orders } from './orders.ts'
import { inTime, Problem } from './problems.ts'
import { find, problems, type Routes, runParams } from './runs.ts'
import { runView, stopSchema } from './schemas.ts'
import type { ApiDoors } from './server.ts'
import { runOf } from './views.ts'

/** What a run's owner decides while it goes on. Each may be said again and changes nothing then. */
export function controlRoutes(routes: Routes, doors: ApiDoors, orders: Orders): void {
  /** @param isSo whether a run that does not take the event is as it would be after it */
  const decide = async (caller: Caller, id: string, event: Unstamped, isSo: (run: Run) => boolean) => {
    const { runner, clock } = doors
    const { run } = (await find(doors, caller, id)).spec
    // Of what another process has appended nothing may be known here yet, and a refusal would be about the past.
    const heard = runner.hear(run).then(() => runner.advance(run, event))
    const decided = await inTime(clock, heard, REPEATABLE)
    const now = decided.ok ? decided.value : runner.run(run)
    if (!now || !(decided.ok || isSo(now))) throw impossible(now)
    return runOf(now, (await orders.of(now)).subject, doors.retention)
  }

  routes.post(
    '/v1/runs/:id/resume',
    {
      config: { scope: 'runs:write' },
      schema: {
        summary: 'Let a paused run go on',
        description:
          'The count of failures starts anew and the next round opens. A run that is not paused is answered as it is.',
        params: runParams,
        response: { 200: runView, ...problems },
      },
    },
    ({ caller, params }) => decide(caller, params.id, { kind: 'resumed' }, (run) => !isEnding(run)),
  )

  routes.post(
    '/v1/runs/:id/stop',
    {
      config: { scope: 'runs:write' },
      schema: {
        summary: 'End a run before it is done',
        description:
          'The open round comes to nothing, unless its sum is being made already; then the record is sealed. A run that was stopped before is answered as it is.',
        params: runParams,
        body: stopSchema,
        response: { 200: runView, ...problems },
      },
    },
    ({ caller, params, body }) =>
      decide(caller, params.id, { kind: 'stopped', reason: body.reason }, (run) => run.stopping !== null),
  )
}

function isEnding({ phase, stopping }: Run): boolean {
  return stopping !== null || phase === 'finishing' || phase === 'ended'
}

function impossible(run: Run | undefined): Problem {
  if (run && run.stopping !== null && run.phase !== 'ended')
    return new Problem(409, 'run_stopped', 'The run is being stopped', `its owner ended it: ${run.stopping}`)
  return new Problem(409, 'run_ended', 'The run has ended', 'its record is sealed, or about to be; launch another one')
}

const REPEATABLE = 'it may still be taken: send it again, which changes nothing where it was'
