import { BrokenInvariant } from '#protocol/assert.ts'
import { type Heard, open } from '#protocol/envelope.ts'
import type { NodeId } from '#protocol/ids.ts'
import { FRAME_BYTES_MAX } from '#protocol/limits.ts'
import { type CoordinatorMessage, readCoordinatorMessage } from '#protocol/messages.ts'
import type { ClientTransport } from '#protocol/ports.ts'

/** Who listens: to the pinned coordinator only. */
type Listener = {
  /** The link is made, or made anew. */
  linked(): Promise<void>
  hear(message: CoordinatorMessage, heard: Heard): Promise<void>
  missed(message: CoordinatorMessage, cause: unknown): void
}

/** Hands on what the coordinator says, one message after the other, and no faster than `keepUp` lets it. */
export async function listen(
  node: Listener,
  { transport, coordinator }: { readonly transport: ClientTransport; readonly coordinator: NodeId },
  signal: AbortSignal,
  keepUp: () => Promise<void>,
): Promise<void> {
  for await (const event of transport.events(signal)) {
    await keepUp()
    if (event.kind === 'linked') {
      // A link that is gone again says so by itself.
      await node.linked().catch(() => undefined)
      continue
    }
    const signed = open(event.frame, FRAME_BYTES_MAX)
    if (!signed.ok || signed.value.from !== coordinator) continue
    const message = readCoordinatorMessage(signed.value)
    if (!message.ok) continue
    try {
      await node.hear(message.value, signed.value)
    } catch (cause) {
      // The world's fault (a block that cannot be fetched) costs this message, not the node.
      if (signal.aborted) return
      if (cause instanceof BrokenInvariant) throw cause
      node.missed(message.value, cause)
    }
  }
}
