import { expect } from '@jest/globals'
import type { Outcome } from '#sim/cluster.ts'
import { CALM, type SimOptions } from '#sim/setting.ts'
import { play } from './play.ts'

export type Owner = NonNullable<SimOptions['owner']>

const STORM = { delayMillis: 300, duplication: 0.1, loss: 0.03, breaks: 0.02 }
const SLOW = { ...CALM, delayMillis: 300 }
const MASKED: Partial<SimOptions> = { masking: 'secagg/1', nodes: 4, rounds: 2, population: 'hospital' }

/** Plays a run, plain or masked and in such weather as its seed has, that its owner stops so long after the start. */
export async function stopAt(seed: number, at: number): Promise<Outcome> {
  const owner: Owner = ({ stopping }, elapsed) =>
    stopping === null && elapsed >= at ? { kind: 'stopped', reason: 'enough' } : undefined
  const storm = { weather: seed % 3 ? SLOW : STORM, crash: seed % 4 ? 0 : 0.03 }
  const outcome = await play({ seed, ...storm, ...(seed % 2 ? MASKED : {}), owner })
  expect(outcome.verdict).toMatchObject({ outcome: expect.stringMatching(/stopped|completed/) })
  return outcome
}

/** In which phases rounds ended because their run was stopped. */
export function stoppedIn({ run }: Outcome): readonly string[] {
  return run.past.flatMap(({ reason, endedIn }) => (reason === 'run-stopped' && endedIn !== null ? [endedIn] : []))
}
