import { assert } from '#protocol/assert.ts'
import { PIN_CIDS_MAX } from '#protocol/pinning.ts'
import type { Pin, PinningService, PinStatus } from '#protocol/ports.ts'

export type MemoryPinning = PinningService & {
  /** What becomes of all requests that are not settled, and of those to come. */
  settle(status: PinStatus): void
  readonly pins: () => readonly Pin[]
}

/** A pinning service in this process's memory, which keeps no block: its requests are what becomes of them when it is told. */
export function openMemoryPinning(delegates: readonly string[] = []): MemoryPinning {
  const pins = new Map<string, Pin>()
  let made = 0
  let next: PinStatus = 'queued'

  return {
    async add({ cid }) {
      const pin = { id: `request-${++made}`, cid, status: next, delegates }
      pins.set(pin.id, pin)
      return pin
    },
    get: async (id) => pins.get(id),
    async find(cids) {
      assert(cids.length > 0 && cids.length <= PIN_CIDS_MAX, `a question is about 1 to ${PIN_CIDS_MAX} CIDs`)
      return [...pins.values()].filter(({ cid }) => cids.includes(cid))
    },
    remove: async (id) => void pins.delete(id),
    settle(status) {
      next = status
      for (const [id, pin] of pins)
        if (pin.status === 'queued' || pin.status === 'pinning') pins.set(id, { ...pin, status })
    },
    pins: () => [...pins.values()],
  }
}
