import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { Readiness } from '../readiness.ts'
import type { ApiDoors } from './doors.ts'
import { Problem } from './problems.ts'
import type { Routes } from './runs.ts'
import { problemView } from './schemas.ts'

/** What whoever runs the coordinator asks of it, without a key. */
export function healthRoutes(routes: Routes, { readiness, counters }: Pick<ApiDoors, 'readiness' | 'counters'>): void {
  const open = { security: [] }
  routes.get(
    '/healthz',
    { schema: { ...open, summary: 'The process answers', response: { 200: statusView('ok') } } },
    async () => ({ status: 'ok' as const }),
  )
  routes.get(
    '/readyz',
    {
      schema: {
        ...open,
        summary: 'Recovered and serving, and the log answers',
        response: { 200: statusView('ready'), 503: problemView },
      },
    },
    async () => {
      const obstacle = await readiness.obstacle()
      if (obstacle) throw notReady(obstacle)
      return { status: 'ready' as const }
    },
  )
  routes.get(
    '/metrics',
    {
      schema: {
        ...{ ...open, summary: 'Counters as Prometheus text', produces: ['text/plain'] },
        response: { 200: z.string().meta({ examples: ['consilium_links 3\n'] }) },
      },
    },
    async (_request, reply) => reply.type('text/plain; version=0.0.4').send(await counters.text()),
  )
}

function statusView<S extends string>(status: S) {
  return z.object({ status: z.literal(status) }).meta({ examples: [{ status }] })
}

/** Runs are not known before they are recovered; while it drains nothing new begins here that another process could do. */
export function checkStage({ method, headers }: FastifyRequest, { stage }: Readiness): void {
  const begins = method !== 'GET' || headers.accept?.includes('text/event-stream')
  if (stage === 'recovering' || (stage === 'draining' && begins)) throw notReady(stage)
}

const OBSTACLES = {
  recovering: 'it reads its log, and is there in a moment',
  draining: 'it is about to stop: another process, or the next, takes this',
  'log-away': 'its log does not answer: what is under way goes on when it is back',
} as const

function notReady(obstacle: keyof typeof OBSTACLES): Problem {
  const code = obstacle.replace('-', '_')
  return new Problem(503, code, 'The coordinator is not ready', OBSTACLES[obstacle], {
    headers: { 'retry-after': '2' },
  })
}
