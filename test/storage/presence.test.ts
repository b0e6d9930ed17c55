import type { Presence } from '#protocol/ports.ts'
import { MemoryPresence } from '#storage/presence/memory.ts'
import { presenceConformance } from '#test/conformance/presence.ts'

presenceConformance('memory', async () => {
  const shared = new MemoryPresence()
  const processes = new Map<Presence, object>()
  return {
    async enter() {
      const process = {}
      const presence = shared.openIn(process)
      processes.set(presence, process)
      return presence
    },
    async kill(presence) {
      shared.died(processes.get(presence) as object)
    },
    [Symbol.asyncDispose]: async () => undefined,
  }
})
