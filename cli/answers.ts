import { z } from 'zod'
import { assert } from '#protocol/assert.ts'
import { EXIT, Failure } from './failure.ts'

/** What an answer of the API is to a request. @throws Failure where it is something else than the API says */
export async function answered(url: string, request: RequestOf, value: unknown): Promise<unknown> {
  const shape = ANSWERS.find(([pattern]) => isOf(pattern, request))?.[1]
  assert(shape, `what ${request.method} ${request.path} answers has a shape`)
  return held(url, request.path, await shape(), value)
}

export type RequestOf = { readonly method: string; readonly path: string }

/** @throws Failure where the value is not of that shape */
export function held<S extends z.ZodType>(url: string, path: string, shape: S, value: unknown): z.output<S> {
  const read = shape.safeParse(value)
  if (read.success) return read.data
  throw badAnswer(url, path, read.error)
}

export function badAnswer(url: string, path: string, cause: unknown): Failure {
  return new Failure(EXIT.unexpected, 'bad_answer', `${url}${path} answered something else than its API says`, {
    fix: 'is it a consilium coordinator of this version?',
    cause,
  })
}

type Shape = () => Promise<z.ZodType>

const run: Shape = async () => (await import('#coordinator/api/run-views.ts')).runView
const federations = () => import('#coordinator/api/federation-schemas.ts')
const keys = () => import('#coordinator/api/keys.ts')
const nodes = () => import('#coordinator/api/node-views.ts')
const payouts = () => import('#coordinator/api/payouts.ts')
const publications = () => import('#coordinator/api/publications.ts')
const rounds = () => import('#coordinator/api/run-views.ts')
const schemas = () => import('#coordinator/api/schemas.ts')
const webhooks = () => import('#coordinator/api/webhook-schemas.ts')

function pageOf(shape: Shape): Shape {
  return async () => (await schemas()).page(await shape())
}

/** Of every request whose answer a command reads, the API's own shape of it: loaded when it is asked for. */
export const ANSWERS: readonly (readonly [request: string, shape: Shape])[] = [
  ['GET /v1/whoami', async () => (await keys()).whoamiView],
  ['GET /v1/coordinator', async () => (await federations()).coordinatorView],
  ['POST /v1/files', async () => (await schemas()).fileView],
  ['GET /v1/tasks/:', async () => z.looseObject({})],
  ['GET /v1/runs', pageOf(run)],
  ['POST /v1/runs', run],
  ['POST /v1/runs/dry-run', async () => (await import('#coordinator/api/dry-run.ts')).dryRunView],
  ['GET /v1/runs/:', run],
  ['PATCH /v1/runs/:', run],
  ['POST /v1/runs/:/pause', run],
  ['POST /v1/runs/:/resume', run],
  ['POST /v1/runs/:/stop', run],
  ['POST /v1/runs/:/extend', run],
  ['GET /v1/runs/:/events', pageOf(async () => (await schemas()).eventView)],
  ['GET /v1/runs/:/rounds', pageOf(async () => (await rounds()).roundView)],
  ['GET /v1/runs/:/rounds/:', async () => (await rounds()).roundWithSeatsView],
  ['GET /v1/stats-queries', pageOf(async () => (await rounds()).statsQueryView)],
  ['POST /v1/stats-queries', async () => (await rounds()).statsQueryView],
  ['GET /v1/nodes', pageOf(async () => (await nodes()).nodeView)],
  ['GET /v1/nodes/:', async () => (await nodes()).nodeWithHistoryView],
  ['POST /v1/nodes/:/drain', async () => (await nodes()).nodeView],
  ['POST /v1/nodes/:/resume', async () => (await nodes()).nodeView],
  ['GET /v1/datasets', pageOf(async () => (await federations()).datasetView)],
  ['GET /v1/federations', pageOf(async () => (await federations()).federationView)],
  ['POST /v1/federations', async () => (await federations()).federationView],
  ['PATCH /v1/federations/:', async () => (await federations()).federationView],
  ['GET /v1/federations/:/members', pageOf(async () => (await federations()).memberView)],
  ['POST /v1/federations/:/members', async () => (await federations()).memberView],
  ['GET /v1/federations/:/invites', pageOf(async () => (await federations()).inviteView)],
  ['POST /v1/federations/:/invites', async () => (await federations()).inviteWithCodeView],
  ['POST /v1/invites/accept', async () => (await federations()).acceptedView],
  ['GET /v1/payouts', pageOf(async () => (await payouts()).payoutView)],
  ['GET /v1/balances', pageOf(async () => (await payouts()).balanceView)],
  ['GET /v1/publications', async () => (await publications()).publicationsPage],
  ['GET /v1/pin-providers', pageOf(async () => (await publications()).providerView)],
  ['GET /v1/api-keys', pageOf(async () => (await keys()).apiKeyView)],
  ['POST /v1/api-keys', async () => (await keys()).madeKeyView],
  ['DELETE /v1/api-keys/:', async () => (await keys()).apiKeyView],
  ['GET /v1/audit-events', pageOf(async () => (await import('#coordinator/api/audit.ts')).auditEventView)],
  ['GET /v1/webhook-endpoints', pageOf(async () => (await webhooks()).endpointView)],
  ['POST /v1/webhook-endpoints', async () => (await webhooks()).endpointWithSecretView],
  ['GET /v1/webhook-endpoints/:/deliveries', pageOf(async () => (await webhooks()).deliveryView)],
  ['POST /v1/webhook-endpoints/:/rotate-secret', async () => (await webhooks()).endpointWithSecretView],
  ['POST /v1/webhook-endpoints/:/test', async () => (await webhooks()).deliveryView],
]

/** @param pattern a method and a path, of which `:` is any part */
function isOf(pattern: string, { method, path }: RequestOf): boolean {
  const [verb, parts = ''] = pattern.split(' ')
  const told = path.split('/')
  const known = parts.split('/')
  return verb === method && known.length === told.length && known.every((part, at) => part === ':' || part === told[at])
}
