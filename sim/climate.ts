import { type Draw, pick } from './chance.ts'
import { type Faults, NO_FAULTS } from './faults.ts'
import type { Weather } from './network.ts'

/** How bad all of it is together: the network's weather and what befalls processes, disks and clocks. */
export type Climate = { readonly weather: Weather } & Faults

export const CLIMATES = ['calm', 'rough', 'storm'] as const
export type ClimateName = (typeof CLIMATES)[number]

/** What one seed draws of a climate: in a storm every seed has its own troubles, and hardly any has all of them. */
export function climateOf(name: ClimateName, draw: Draw): Climate {
  const one = (...of: readonly number[]) => pick(draw, of)
  switch (name) {
    case 'calm':
      return { ...NO_FAULTS, weather: { delayMillis: 5, loss: 0, duplication: 0, breaks: 0 } }
    case 'rough':
      return {
        ...NO_FAULTS,
        weather: { delayMillis: 100, loss: one(0, 0.01), duplication: one(0, 0.1), breaks: one(0, 0.01) },
        ...{ crash: one(0, 0.01), restarts: one(0, 1), partitions: one(0, 1), pauses: one(0, 1), slowDisks: one(0, 1) },
        skewMillis: one(0, 500),
      }
    case 'storm':
      return {
        weather: {
          delayMillis: one(5, 100, 300),
          loss: one(0, 0.01, 0.03),
          duplication: one(0, 0.1, 0.2),
          breaks: one(0, 0.01, 0.02),
        },
        ...{ crash: one(0, 0.03, 0.08), crashAnywhere: one(0, 0, 0.003), nodeCrash: one(0, 0.02) },
        ...{ nodeCrashAnywhere: one(0, 0, 0.003), deaths: one(0, 0, 1, 2), restarts: one(0, 1, 2) },
        ...{ partitions: one(0, 1, 3), pauses: one(0, 1, 3), fullDisks: one(0, 1, 3), slowDisks: one(0, 1, 2) },
        ...{ skewMillis: one(0, 500, 5000), jumps: one(0, 0, 1, 3) },
      }
  }
}
