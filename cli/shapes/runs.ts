import { z } from 'zod'
import { federationView, inviteView, inviteWithCodeView, memberView } from '#coordinator/api/federation-schemas.ts'
import { publicationView } from '#coordinator/api/publications.ts'
import { roundView, runView } from '#coordinator/api/run-views.ts'
import { text } from '#coordinator/api/schemas.ts'

/** What is printed of runs and federations, where it is more than the API answers. */
export const runWithHistoryShape = runView.extend({
  history: z.array(roundView),
  publications: z.array(publicationView),
})

const figures = z.object({
  accuracy: z.number().nullable(),
  loss: z.number().nullable(),
  figures: z.record(z.string(), z.number().nullable()).meta({ description: 'that the task asks for, by name' }),
  reports: z.int(),
  cohort: z.int(),
  bytes_per_node: z.int(),
  train_ms: z.number(),
  overhead_ms: z.number(),
})

/** `consilium runs compare`: each run's nth closed round beside the others'. */
export const comparedShape = z.object({
  runs: z.array(
    z.object({
      id: z.string(),
      name: z.string(),
      status: z.string(),
      rounds_closed: z.int(),
      rounds_aborted: z.int(),
      best_accuracy: z.number().nullable(),
      best_round: z.int().nullable(),
      best: z.array(z.object({ name: z.string(), value: z.number(), round: z.int() })).meta({
        description: 'of accuracy, the loss and each figure that the task asks for; of errors the least is the best',
      }),
      bytes_up_per_site: z.int(),
      duration_ms: z.number(),
      train_ms: z.number(),
      overhead_ms: z.number(),
    }),
  ),
  rounds: z.array(z.object({ round: z.int(), figures: z.array(figures.nullable()) })),
  differences: z
    .array(z.object({ pointer: z.string(), values: z.array(z.unknown()) }))
    .meta({ description: 'between the tasks, by JSON pointer; null where a run has no such value' }),
})

export const federationWithMembersShape = federationView.extend({
  members: z.array(memberView),
  invites: z.array(inviteView),
})

export const invitedShape = inviteWithCodeView.extend({
  federation: z.string(),
  fingerprint: text('of the coordinator, as six words'),
})

export const dissolvedShape = z.object({ federation: z.string(), dissolved: z.literal(true) })
export const inviteRevokedShape = z.object({ federation: z.string(), invite: z.string(), revoked: z.literal(true) })
export const memberRemovedShape = z.object({ federation: z.string(), node: z.string(), removed: z.literal(true) })
export const endpointRemovedShape = z.object({ id: z.string(), removed: z.literal(true) })

/** The first line of `consilium webhooks listen`; deliveries follow. */
export const listeningShape = z.object({
  type: z.literal('webhooks.listening'),
  forward: z.string(),
  events: z.array(z.string()),
  secret: z.string().nullable().meta({ description: 'what messages are signed with; null where it was given' }),
})
