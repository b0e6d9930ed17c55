import { test } from '@jest/globals'
import { LIMIT_MILLIS, playOverSlowLine } from './slow-line.ts'

/** Twice as fast as where `npm run campaign` plays the others, to whom a node that dies as well belongs. */
test(
  'over a slow line that loses one leaf in five a plain round completes, though the coordinator dies on the way, and no leaf is sent twice but those that were lost',
  () => playOverSlowLine({ masking: 'none', count: 2, bytesPerSecond: 5_000_000, dying: 'coordinator' }),
  3 * LIMIT_MILLIS,
)
