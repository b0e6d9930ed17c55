import { messageIdOf, signedRequest } from '#coordinator/webhook-signature.ts'
import type { ApiEvent } from '#sdk/sse.ts'
import type { WebhookDeliveryView } from '#sdk/views/webhooks.ts'

/** Where messages go, and the time that this takes. */
export type ForwardingDoors = {
  /** Posts and reads no answer. @returns the status @throws where there is none */
  readonly post: (headers: Readonly<Record<string, string>>, body: string, signal: AbortSignal) => Promise<number>
  readonly now: () => number
  readonly pause: (millis: number, signal: AbortSignal | undefined) => Promise<void>
}

/** Whoever writes a receiver starts it anew now and then: it is waited for, and not for long when it fails for good. */
const PAUSES_MILLIS = [1000, 2000, 4000, 8000] as const
const POST_MILLIS = 10_000

/** One event as one message, signed as a coordinator signs it: each try is told, to the one that is taken or the last. */
export async function* forward(
  event: ApiEvent,
  secret: string,
  { post, now, pause }: ForwardingDoors,
  signal: AbortSignal,
): AsyncIterable<WebhookDeliveryView> {
  const { type, run, seq } = event
  const id = messageIdOf(run, seq)
  for (let attempt = 1; !signal.aborted; attempt++) {
    const began = now()
    const { headers, body } = signedRequest([secret], { id, type, at: Date.parse(event.time), data: event }, began)
    const { status, reason } = await post(
      headers,
      body,
      AbortSignal.any([signal, AbortSignal.timeout(POST_MILLIS)]),
    ).then(
      (status) => ({ status, reason: status >= 200 && status < 300 ? null : `it answered ${status}` }),
      (cause: unknown) => ({ status: null, reason: reasonOf(cause) }),
    )
    if (signal.aborted) return
    const wait = PAUSES_MILLIS[attempt - 1]
    yield {
      ...{ id, type, run, seq, at: new Date(began).toISOString(), attempt, status, reason },
      outcome: reason === null ? 'delivered' : wait === undefined ? 'gave-up' : 'failed',
      elapsed_ms: Math.max(0, Math.round(now() - began)),
    }
    if (reason === null || wait === undefined) return
    await pause(wait, signal)
  }
}

/** `fetch` hides what happened in the cause of its error. */
function reasonOf(cause: unknown): string {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
  return (inner instanceof Error ? inner.message || inner.name : String(inner)).slice(0, 200)
}
