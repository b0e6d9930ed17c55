import { basename } from 'node:path'
import type { DataSource, SharedRows } from '#client/data/dataset.ts'
import { type TrainerBackend, TrainingRefused } from '#protocol/ports.ts'

/** Tells of each site whose data is not as the task asks, once: a node says so at its terminal, and these have none. */
export class Misfits {
  readonly #tell: (line: string) => void
  readonly #told = new Set<number>()

  constructor(tell: (line: string) => void) {
    this.#tell = tell
  }

  on(site: number, data: DataSource | SharedRows, trainer: TrainerBackend): TrainerBackend {
    const name = 'path' in data ? basename(data.path) : `site ${site + 1}`
    return {
      ...trainer,
      fit: async (...args) => {
        try {
          return await trainer.fit(...args)
        } catch (cause) {
          if (cause instanceof TrainingRefused && !this.#told.has(site)) {
            this.#told.add(site)
            this.#tell(`${name} is not in it: ${cause.message}`)
          }
          throw cause
        }
      },
    }
  }
}
