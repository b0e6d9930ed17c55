import { expect, test } from '@jest/globals'
import { NO_DATA } from '#client/data/dataset.ts'
import { openTfjsTrainer } from '#client/trainers/tfjs.ts'
import { REPETITION_EPOCHS, type ReferenceModel } from '#protocol/reference-models.ts'

/** Its convolutions take the cpu backend minutes: `test/client/trainers/` holds them to it layer by layer. */
const MODELS: readonly ReferenceModel[] = ['mlp']
const seed = new Uint8Array(32).fill(1)

test.each(MODELS)(
  'wasm loses on %s what cpu does, epoch by epoch, far within what a spot check allows',
  async (model) => {
    const amount = { kind: 'repetitions', from: 1, count: 1 } as const
    const [wasm, cpu] = await Promise.all(
      (['wasm', 'cpu'] as const).map(async (backend) => {
        await using trainer = await openTfjsTrainer({ data: NO_DATA, backend })
        return (await trainer.measure({ model, seed, amount }, new AbortController().signal)).losses
      }),
    )
    expect(cpu).toHaveLength(REPETITION_EPOCHS)
    for (const [epoch, loss] of (cpu ?? []).entries())
      expect(Math.abs((wasm?.[epoch] as number) / loss - 1)).toBeLessThan(2e-5)
  },
)
