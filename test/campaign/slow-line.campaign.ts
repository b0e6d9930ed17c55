import { test } from '@jest/globals'
import { LIMIT_MILLIS, playOverSlowLine } from '#test/chaos/slow-line.ts'

/** Ten megabytes of parameters and vectors take a hospital's 4 Mbit/s twenty seconds, and this line four. */
const BYTES_PER_SECOND = 2_500_000

test.each([
  ['plain', 'none', 2, 'coordinator and node'],
  ['masked', 'secagg/1', 3, 'coordinator'],
] as const)(
  'over a slow line that loses one leaf in five a %s round completes, though the coordinator (and in the plain one the node) dies on the way, and no leaf is sent twice but those that were lost',
  (_, masking, count, dying) => playOverSlowLine({ masking, count, bytesPerSecond: BYTES_PER_SECOND, dying }),
  5 * LIMIT_MILLIS,
)
