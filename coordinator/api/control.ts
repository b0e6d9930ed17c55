import { equalBytes } from '#protocol/bytes.ts'
import type { Result } from '#protocol/result.ts'
import { extensionMadeBy } from '../decisions.ts'
import type { Unstamped } from '../live.ts'
import { pauseOf } from '../outcome.ts'
import type { Run } from '../run.ts'
import type { Caller } from './caller.ts'
import type { ApiDoors } from './doors.ts'
import { checkSpending, idempotencyHeaders, keyReused, markReplayed, onceOf } from './idempotency.ts'
import { inTime, Problem } from './problems.ts'
import { extendSchema, pauseSchema, stopSchema } from './run-schemas.ts'
import { runView } from './run-views.ts'
import { find, problems, type Routes, runParams } from './runs.ts'
import { runOf } from './views.ts'

/** What a run's owner decides while it goes on. Each may be said again and changes nothing then. */
export function controlRoutes(routes: Routes, doors: ApiDoors): void {
  /** @param isSo whether a run that does not take the event is as it would be after it */
  const decide = async (caller: Caller, id: string, event: Unstamped, isSo: (run: Run) => boolean) => {
    const { runner, clock, orders, labels, retention } = doors
    const { run } = (await find(doors, caller, id)).spec
    // Of what another process has appended nothing may be known here yet, and a refusal would be about the past.
    const heard = runner.hear(run).then(() => runner.advance(run, event))
    const decided = await inTime(clock, heard, REPEATABLE)
    const now = decided.ok ? decided.value : runner.run(run)
    if (!now || !(decided.ok || isSo(now))) throw impossible(now, decided)
    return runOf(now, (await orders.of(now)).subject, (await labels.lookup())(run), retention)
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
    '/v1/runs/:id/pause',
    {
      config: { scope: 'runs:write' },
      schema: {
        summary: 'Let no more rounds open',
        description:
          'The open round goes to its end, and then the run waits for POST /resume or /stop; where none is open it waits at once. A last round that closes still completes the run. A run that is paused, or about to be, is answered as it is.',
        params: runParams,
        body: pauseSchema,
        response: { 200: runView, ...problems },
      },
    },
    ({ caller, params, body }) =>
      decide(
        caller,
        params.id,
        { kind: 'paused', reason: body.reason },
        (run) => !isEnding(run) && pauseOf(run) !== null,
      ),
  )

  routes.post(
    '/v1/runs/:id/extend',
    {
      config: { scope: 'runs:write' },
      schema: {
        summary: 'Add training rounds',
        description:
          'And a budget that pays these alone: it is reserved once, before the first of them opens. A run that has ended, or is about to, cannot be extended: fork it. Where there is a budget it takes an Idempotency-Key; without one a repeat adds as many rounds again.',
        params: runParams,
        headers: idempotencyHeaders,
        body: extendSchema,
        response: { 200: runView, ...problems },
      },
    },
    async (request, reply) => {
      const { rounds, budget } = request.body
      // Of a run that is not there nothing else is said.
      await find(doors, request.caller, request.params.id)
      checkSpending(request, budget)
      const once = onceOf(request)
      const event = { kind: 'extended', rounds, budget: BigInt(budget), once } as const
      return decide(request.caller, request.params.id, event, (run) => {
        const made = extensionMadeBy(run, once)
        if (!made?.once || !once) return false
        if (!equalBytes(made.once.body, once.body)) throw keyReused()
        markReplayed(reply)
        return true
      })
    },
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

function impossible(run: Run | undefined, refused: Result<unknown>): Problem {
  if (!refused.ok && LIMITS.has(refused.refusal))
    return new Problem(422, refused.refusal.replaceAll('-', '_'), 'This run cannot be extended', refused.detail ?? '')
  if (!refused.ok && refused.refusal === 'stop-rule-met')
    return new Problem(
      409,
      'run_completing',
      'The run has trained enough',
      `${refused.detail}: it is being completed by its stop rule; fork it to train on`,
    )
  if (run && run.stopping !== null && run.phase !== 'ended')
    return new Problem(409, 'run_stopped', 'The run is being stopped', `its owner ended it: ${run.stopping}`)
  return new Problem(
    409,
    'run_ended',
    'The run has ended',
    'its record is sealed, or about to be; launch another one, or fork this one',
  )
}

/** What can be said of a run at all. */
const LIMITS: ReadonlySet<string> = new Set(['too-many-rounds', 'too-many-extensions', 'wrong-phase'])

const REPEATABLE = 'it may still be taken: send it again, which changes nothing where it was'
