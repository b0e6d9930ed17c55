/** Where messages go. */
export type WebhookEndpointView = {
  id: string
  url: string
  events: string[]
  description: string
  enabled: boolean
  created_at: string
  updated_at: string
  /** Until when messages are signed by the secret before as well; null: by no other. */
  old_secret_until: string | null
  /** The latest event that was not delivered within a day, or was answered with 410. */
  gave_up: { at: string; run: string; seq: number; reason: string } | null
}

/** @property secret told this once */
export type WebhookEndpointWithSecretView = WebhookEndpointView & { secret: string }

/** One try to hand a message over. */
export type WebhookDeliveryView = {
  /** The message, and its webhook-id. */
  id: string
  type: string
  run: string | null
  seq: number | null
  at: string
  /** From 1; of what is sent by hand 1. */
  attempt: number
  status: number | null
  outcome: 'delivered' | 'failed' | 'gave-up'
  reason: string | null
  elapsed_ms: number
}
