import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { FORMATS, MODEL_FORMATS, type ModelFormat, modelFile } from '#protocol/formats/model-file.ts'
import { type Arguments, usage } from './arguments.ts'
import type { Call } from './command.ts'
import { EXIT, Failure } from './failure.ts'
import { openModel } from './model-source.ts'
import { formatBytes } from './render/units.ts'
import { listenForStop } from './stopping.ts'
import { writeWholeFile } from './whole-file.ts'

/**
 * `consilium model pull <run>`: a model as files. What is kept is made here, of weights whose every block was hashed against
 * the CID that a signed record names: no file of the coordinator's is believed.
 */
export async function execute({ args, output }: Call): Promise<number> {
  const formats = formatsOf(args)
  const folder = args.text('out') ?? '.'
  await using model = await openModel(args.positionals[0] as string, args)
  using stopping = listenForStop()
  await mkdir(folder, { recursive: true })
  const files: string[] = []
  try {
    for (const format of formats) {
      const file = modelFile(format, model, model.weights())
      if (!file.ok) throw new Failure(EXIT.data, 'no_counterpart', `TF.js has no such layer: ${file.detail}`, OTHERS)
      const path = join(folder, `${model.name}.${FORMATS[format].suffix}`)
      await writeWholeFile(path, file.value, { replace: args.flag('force'), signal: stopping.signal })
      files.push(path)
    }
  } catch (cause) {
    const exit = stopping.exit()
    if (exit === undefined) throw cause
    return exit
  }
  const { cid, record, coordinator, shape } = model
  const pinned = args.text('coordinator-key') !== undefined
  const { parameters } = shape
  if (output.json) output.object({ files, model: cid, record, coordinator, pinned, parameters, bytes: parameters * 4 })
  else {
    for (const path of files)
      output.line(`${path}  ${parameters} parameters, ${formatBytes(parameters * 4)} of weights`)
    output.line(`model        ${cid}`)
    output.line(`record       ${record}`)
    output.line(`coordinator  ${coordinator}${pinned ? '' : '  (unpinned: --coordinator-key pins who signed)'}`)
    output.note('every block hashed, the record signed; consilium verify redoes how the model was made')
  }
  return EXIT.ok
}

const OTHERS = { fix: '--format npz, safetensors or raw' }

function formatsOf(args: Arguments): readonly ModelFormat[] {
  const names = (args.text('format') ?? '').split(',')
  const unknown = names.find((name) => !MODEL_FORMATS.some((format) => format === name))
  if (unknown === undefined) return [...new Set(names as ModelFormat[])]
  throw usage('bad_value', `--format is one or more of ${MODEL_FORMATS.join(', ')}, not ${unknown}`)
}
