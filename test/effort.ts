import { expect } from '@jest/globals'

/** A suite that is heavy by its repetitions plays few of them in `npm test`; test/campaign/full-*.campaign.ts plays it in full. */
export function times(few: number, all: number): number {
  return isCampaign() ? all : few
}

/** The first few in `npm test`, all of them in the campaign. */
export function some<T>(few: number, all: readonly T[]): readonly T[] {
  return all.slice(0, times(few, all.length))
}

function isCampaign(): boolean {
  return expect.getState().testPath?.endsWith('.campaign.ts') ?? false
}
