import { EVENT_TYPES, mistakeInPattern } from '#protocol/event-types.ts'
import { usage } from './arguments.ts'

/** Who waits for an event that there is not waits for ever. @throws of the first of these that means none */
export function checkPatterns(option: string, patterns: readonly string[]): void {
  for (const pattern of patterns) {
    const mistake = mistakeInPattern(pattern)
    if (!mistake) continue
    const fix =
      mistake.nearest && `--${option} ${mistake.nearest.endsWith('*') ? `'${mistake.nearest}'` : mistake.nearest}`
    throw usage('bad_value', `--${option}: there is no event ${JSON.stringify(pattern)}`, fix, [
      ['events', `${EVENT_TYPES.join(', ')}; round.* is all that start so`],
    ])
  }
}
