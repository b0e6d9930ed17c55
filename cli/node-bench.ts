import { NO_DATA } from '#client/data/dataset.ts'
import { measureSpeed } from '#client/measuring.ts'
import { openTfjsTrainer } from '#client/trainers/tfjs.ts'
import { traitsOf } from '#client/trainers/traits.ts'
import { randomBytes } from '#crypto'
import type { MeasuredSpeed } from '#protocol/capability.ts'
import { REFERENCE_BATCH, REFERENCE_MODEL_NAMES } from '#protocol/reference-models.ts'
import { systemClock } from '#storage/clock.ts'
import { backendLines, backendOf } from './backend.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { formatSpeed, speedFields } from './render/capability.ts'
import { listenForStop } from './stopping.ts'

/** `consilium node bench`: what a node would say of itself, measured now. */
export async function execute({ args, output }: Call): Promise<number> {
  const backend = backendOf(args)
  using stopping = listenForStop(false)
  await using trainer = await openTfjsTrainer({ data: NO_DATA, backend })
  const traits = traitsOf(trainer.opened)
  if (!output.json) for (const line of backendLines(trainer.opened)) output.note(line)
  const speeds: MeasuredSpeed[] = []
  for (const model of REFERENCE_MODEL_NAMES) {
    const measuring = measureSpeed(trainer, systemClock, { model, seed: randomBytes(32) }, stopping.signal)
    const measured = await measuring.catch((cause: unknown) => {
      if (stopping.signal.aborted) return undefined
      throw cause
    })
    if (!measured) return stopping.exit() ?? EXIT.ok
    speeds.push(...measured)
    if (output.json) continue
    const [speed] = measured
    const found = speed ? `${formatSpeed(speed.milliSamplesPerSecond).padStart(12)}  samples/s` : 'does not train here'
    output.line(`${model.padEnd(12)} ${found}`)
  }
  if (output.json) output.object({ ...traits, batch: REFERENCE_BATCH, speeds: speedFields(speeds) })
  return EXIT.ok
}
