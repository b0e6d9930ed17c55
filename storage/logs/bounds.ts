import { assert } from '#protocol/assert.ts'
import type { Bytes } from '#protocol/ids.ts'
import { LOG_APPEND_MAX, LOG_ENTRY_BYTES_MAX } from '#protocol/limits.ts'

/** What every log asks of its callers, who are ourselves: peers' words are bounded before they become entries. */
export function checkAppend(stream: string, position: number, entries: readonly Bytes[]): void {
  assert(/^[\x21-\x7e]{1,200}$/.test(stream), 'a stream has a name of 1 to 200 visible ASCII characters')
  assert(Number.isSafeInteger(position) && position >= 0, 'a position is a count')
  assert(entries.length >= 1 && entries.length <= LOG_APPEND_MAX, `an append is of 1 to ${LOG_APPEND_MAX} entries`)
  for (const entry of entries)
    assert(entry.length <= LOG_ENTRY_BYTES_MAX, `an entry is at most ${LOG_ENTRY_BYTES_MAX} bytes`)
}
