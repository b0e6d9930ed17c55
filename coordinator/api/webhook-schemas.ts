import { z } from 'zod'
import { EVENT_TYPES, mistakeInPattern } from '#protocol/event-types.ts'
import { endpointFields, OVERLAP_SECONDS_MAX } from '../webhooks.ts'

/** What the API takes and shows of webhook endpoints. */
const text = (what: string) => z.string().meta({ description: what })
const time = text('RFC 3339')

const EXAMPLE = {
  url: 'https://hooks.example.org/consilium',
  events: ['round.completed', 'run.*'],
  description: 'the study desk',
}
const ENDPOINT_EXAMPLE = {
  ...{ id: 'we_01KQ7Z8Y9X0W1V2T3S4R5Q6P7N', ...EXAMPLE, enabled: true },
  ...{ created_at: '2026-11-22T09:31:04.120Z', updated_at: '2026-11-22T09:31:04.120Z' },
  ...{ old_secret_until: null, gave_up: null },
}
const DELIVERY_EXAMPLE = {
  ...{
    id: 'msg_01KQ7Z8Y9X0W1V2T3S4R5Q6P7N_12',
    type: 'round.completed',
    run: 'run_01KQ7Z8Y9X0W1V2T3S4R5Q6P7N',
    seq: 12,
  },
  ...{
    at: '2026-11-22T09:31:04.350Z',
    attempt: 1,
    status: 204,
    outcome: 'delivered' as const,
    reason: null,
    elapsed_ms: 38,
  },
}

export const endpointView = z
  .object({
    id: text('we_…'),
    url: z.string(),
    events: z.array(z.string()),
    description: z.string(),
    enabled: z.boolean(),
    created_at: time,
    updated_at: time,
    old_secret_until: time
      .nullable()
      .meta({ description: 'until when messages are signed by the secret before as well; null: by no other' }),
    gave_up: z
      .object({ at: time, run: z.string(), seq: z.int(), reason: z.string() })
      .nullable()
      .meta({ description: 'the latest event that was not delivered within a day, or was answered with 410' }),
  })
  .meta({ id: 'WebhookEndpoint', examples: [ENDPOINT_EXAMPLE] })
export const endpointWithSecretView = endpointView
  .extend({ secret: text('whsec_…, for Standard Webhooks: shown this once') })
  .meta({
    id: 'WebhookEndpointWithSecret',
    examples: [{ ...ENDPOINT_EXAMPLE, secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' }],
  })
export const deliveryView = z
  .object({
    id: text('the message, and its webhook-id'),
    type: z.string(),
    run: z.string().nullable(),
    seq: z.int().nullable(),
    at: time,
    attempt: z.int().meta({ description: 'from 1; of what is sent by hand 1' }),
    status: z.int().nullable(),
    outcome: z.enum(['delivered', 'failed', 'gave-up']),
    reason: z.string().nullable(),
    elapsed_ms: z.int(),
  })
  .meta({ id: 'WebhookDelivery', examples: [DELIVERY_EXAMPLE] })

const eventsField = endpointFields.events
  .superRefine((patterns, context) => {
    for (const [index, pattern] of patterns.entries()) {
      const mistake = mistakeInPattern(pattern)
      if (mistake) context.addIssue({ code: 'custom', path: [index], message: unknownEvent(mistake) })
    }
  })
  .meta({
    description: `types of events, run.* for all that start so, or *; there are ${EVENT_TYPES.join(', ')}`,
  })

export const createEndpointSchema = z
  .strictObject({
    url: endpointFields.url,
    events: eventsField.default(['round.completed', 'run.*']),
    description: endpointFields.description.default(''),
  })
  .meta({ id: 'CreateWebhookEndpoint', examples: [EXAMPLE] })
export const changeEndpointSchema = z
  .strictObject({ ...endpointFields, events: eventsField, enabled: z.boolean() })
  .partial()
  .meta({ id: 'ChangeWebhookEndpoint', examples: [{ enabled: false }] })

export const rotateSecretSchema = z
  .strictObject({
    overlapSeconds: z
      .int()
      .min(0)
      .max(OVERLAP_SECONDS_MAX)
      .default(86_400)
      .meta({ description: 'how long messages are signed by the old secret as well; 0: not at all' }),
  })
  .meta({ id: 'RotateWebhookSecret', examples: [{ overlapSeconds: 86_400 }] })

function unknownEvent({ nearest }: { readonly nearest: string | undefined }): string {
  const meant = nearest === undefined ? '' : `, such as ${nearest}`
  return `must be an event that there is${meant}; there are ${EVENT_TYPES.join(', ')}`
}
