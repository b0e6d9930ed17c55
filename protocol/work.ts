import type { Purpose } from './plan.ts'

/** What a site does in a round, as people call it. */
export const WORK = { train: 'training', evaluate: 'testing', ask: 'counting' } as const satisfies Record<
  Purpose,
  string
>
