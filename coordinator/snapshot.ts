import { deserialize, serialize } from 'node:v8'
import type { Bytes } from '#protocol/ids.ts'
import { SNAPSHOT_BYTES_MAX } from '#protocol/limits.ts'
import type { Standing } from './live.ts'

/**
 * A run's standing as bytes, so that a restart reads them instead of the history behind them. It says nothing that the log
 * does not: what is of another format, or cannot be read, is as good as none. To be raised whenever the state's shape or
 * the meaning of an event changes; a test holds the number to the shape.
 */
export const SNAPSHOT_FORMAT = 7

/** Undefined where it would be larger than a snapshot may be. */
export function encodeStanding(standing: Standing): Bytes | undefined {
  const bytes = new Uint8Array(serialize({ format: SNAPSHOT_FORMAT, ...standing }))
  return bytes.length <= SNAPSHOT_BYTES_MAX ? bytes : undefined
}

export function decodeStanding(bytes: Bytes): Standing | undefined {
  try {
    const { format, run, owing } = deserialize(bytes) as Partial<Standing> & { readonly format?: unknown }
    return format === SNAPSHOT_FORMAT && run && owing ? { run, owing } : undefined
  } catch {
    return undefined
  }
}
