import type { Capability } from '#protocol/capability.ts'

/** By the fake clocks of tests about what nodes can do. */
export const NOW = 1_800_000_000_000

/** A report of a node that trains so many samples of the MLP in a second. */
export function capability(perSecond: number, change: Partial<Capability> = {}): Capability {
  return {
    ...{ backend: 'wasm', adapter: '', software: false, deterministic: true, memoryBytes: 2 ** 31, version: '1.0.0' },
    ...{ population: 'open', speeds: [{ model: 'mlp', milliSamplesPerSecond: perSecond * 1000, measuredAt: NOW }] },
    ...change,
  }
}
