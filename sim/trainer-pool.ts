import { type DataSource, NO_DATA, type SharedRows } from '#client/data/dataset.ts'
import type { BackendChoice } from '#client/trainers/backends/choice.ts'
import { openTfjsTrainer } from '#client/trainers/tfjs.ts'
import type { TfjsTrainer } from '#client/trainers/trainer.ts'
import { assert } from '#protocol/assert.ts'
import type { TrainerBackend } from '#protocol/ports.ts'

/** As many training threads as there are cores to serve any number of sites: each call brings its site's data. */
export type TrainerPool = AsyncDisposable & {
  readonly backend: string
  /** A site's own trainer, as far as it can tell. */
  trainerOn(data: DataSource | SharedRows): TrainerBackend
}

export async function openTrainerPool({
  threads,
  backend = 'auto',
}: {
  readonly threads: number
  readonly backend?: BackendChoice
}): Promise<TrainerPool> {
  await using opened = new AsyncDisposableStack()
  const open = () => openTfjsTrainer({ data: NO_DATA, backend })
  const trainers = await Promise.all(Array.from({ length: threads }, open))
  for (const trainer of trainers) opened.use(trainer)
  const busy = new Map<TfjsTrainer, number>(trainers.map((trainer) => [trainer, 0]))
  const [first] = trainers
  assert(first, 'a pool has a thread')
  const { backend: name } = first
  const doors = opened.move()
  return {
    backend: name,
    trainerOn: (data) => ({
      backend: name,
      async fit(...args) {
        const [[trainer, calls]] = [...busy].sort(([, a], [, b]) => a - b) as [[TfjsTrainer, number]]
        busy.set(trainer, calls + 1)
        try {
          return await trainer.fitOn(data, ...args)
        } finally {
          busy.set(trainer, (busy.get(trainer) ?? 1) - 1)
        }
      },
      async [Symbol.asyncDispose]() {},
    }),
    [Symbol.asyncDispose]: () => doors.disposeAsync(),
  }
}
