import { copyOf } from '#protocol/bytes.ts'
import type { Snapshot, Snapshots } from '#protocol/ports.ts'
import { checkState } from './sealed.ts'

/** Snapshots in this process's memory, gone with it. */
export function openMemorySnapshots(): Snapshots {
  const kept = new Map<string, Snapshot>()
  return {
    async latest(stream) {
      const snapshot = kept.get(stream)
      return snapshot && { ...snapshot, state: copyOf(snapshot.state) }
    },
    async keep(stream, { position, state }) {
      checkState(state)
      if (position > (kept.get(stream)?.position ?? -1)) kept.set(stream, { position, state: copyOf(state) })
    },
  }
}
