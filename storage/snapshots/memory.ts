import { assert } from '#protocol/assert.ts'
import { SNAPSHOT_BYTES_MAX } from '#protocol/limits.ts'
import type { Snapshot, Snapshots } from '#protocol/ports.ts'

/** Snapshots in this process's memory, gone with it. */
export function openMemorySnapshots(): Snapshots {
  const kept = new Map<string, Snapshot>()
  return {
    async latest(stream) {
      const snapshot = kept.get(stream)
      return snapshot && { ...snapshot, state: snapshot.state.slice() }
    },
    async keep(stream, { position, state }) {
      assert(state.length <= SNAPSHOT_BYTES_MAX, `a state is at most ${SNAPSHOT_BYTES_MAX} bytes`)
      if (position > (kept.get(stream)?.position ?? -1)) kept.set(stream, { position, state: state.slice() })
    },
  }
}
