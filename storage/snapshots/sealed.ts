import { sha256 } from '#crypto'
import { assert } from '#protocol/assert.ts'
import { concat, equalBytes, utf8 } from '#protocol/bytes.ts'
import type { Bytes } from '#protocol/ids.ts'
import { SNAPSHOT_BYTES_MAX } from '#protocol/limits.ts'
import type { Snapshot } from '#protocol/ports.ts'

/** The state behind its hash: a bit that fell over on a disk must not become somebody's state. */
export function seal(stream: string, { position, state }: Snapshot): Bytes {
  checkState(state)
  return concat(digestOf(stream, position, state), state)
}

/** @returns undefined when it is not what was sealed for this stream and position */
export function unseal(stream: string, position: number, sealed: Bytes): Snapshot | undefined {
  const state = sealed.slice(DIGEST_BYTES)
  return equalBytes(sealed.subarray(0, DIGEST_BYTES), digestOf(stream, position, state))
    ? { position, state }
    : undefined
}

export function checkState(state: Bytes): void {
  assert(state.length <= SNAPSHOT_BYTES_MAX, `a state is at most ${SNAPSHOT_BYTES_MAX} bytes`)
}

const DIGEST_BYTES = 32

/** No stream has a space in its name, so this says one thing only. */
function digestOf(stream: string, position: number, state: Bytes): Bytes {
  return sha256(concat(utf8(`${stream} ${position} `), state))
}
