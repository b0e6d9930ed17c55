import { parseCid } from '#protocol/cid.ts'
import { type Cid, type NodeId, parseNodeId } from '#protocol/ids.ts'
import { openMaskRemoval } from '#threads/removal.ts'
import type { Step } from '#verify/verdict.ts'
import { type VerifyOptions, type VerifyProgress, verifyAny, verifyFile } from '#verify/verify.ts'
import { type Arguments, usage } from './arguments.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import type { Output } from './output.ts'
import { openRecord, type RecordSource } from './record-source.ts'
import { verdictData, verdictLines } from './render/verdict.ts'
import { openVectorFolder } from './vector-folder.ts'

/** `consilium verify`: exit 0 only for a record that holds, and for the pinned coordinator and CID where they are given. */
export async function execute({ args, output }: Call): Promise<number> {
  const pins = pinsOf(args)
  await using record = await openRecord(args.positionals[0] as string, args.text('run'), args)
  const folder = args.text('vectors')
  const vectors = folder === undefined ? {} : { vectors: await openVectorFolder(folder) }
  const verdict = await verifyHere(record, { ...pins, ...vectors, allowExpired: args.flag('without-vectors') }, output)
  if (output.json) output.object(verdictData(verdict))
  else for (const line of verdictLines(verdict, output.out)) output.line(line)
  return verdict.ok ? EXIT.ok : EXIT.unverified
}

/** In this process and its threads, telling each step. */
export async function verifyHere(record: RecordSource, options: VerifyOptions, output: Output) {
  const steps = stepTeller(output)
  await using threads = openMaskRemoval()
  const all = { ...options, asked: record.asked, removeMasks: threads.removeMasks, progress: steps.progress }
  const verdict =
    record.kind === 'bundle'
      ? await verifyFile(record.file, all, verifyAny)
      : await verifyAny(record.root, record.block, all)
  steps.end(verdict.ok ? undefined : verdict.step)
  return verdict
}

/** @param name of the option that pins the key */
export function pinsOf(
  args: Arguments,
  name: 'coordinator' | 'coordinator-key' = 'coordinator',
): { readonly coordinator?: NodeId; readonly expect?: Cid } {
  const [key, cid] = [args.text(name), args.text('expect')]
  const coordinator = key === undefined ? undefined : parseNodeId(key)
  if (coordinator && !coordinator.ok) throw usage('bad_value', `--${name} is a key, z6Mk…, not ${key}`)
  const expect = cid === undefined ? undefined : parseCid(cid)
  if (expect && !expect.ok) throw usage('bad_value', `--expect is a CID, not ${cid}`)
  return { ...(coordinator ? { coordinator: coordinator.value } : {}), ...(expect ? { expect: expect.value } : {}) }
}

/** A line for each step, those of a round on one. A step that failed without being announced comes after the one that held. */
function stepTeller({ note, json, quiet }: Output): {
  progress: (at: VerifyProgress) => void
  end: (failed: Step | undefined) => void
} {
  if (json || quiet) return { progress: () => undefined, end: () => undefined }
  let open: { readonly name: string; readonly inRound: boolean; readonly steps: Step[] } | undefined
  const end = (failed: Step | undefined) => {
    const held = open?.steps.filter((step) => step !== failed) ?? []
    if (open?.inRound) note([failed ? 'FAILED' : 'ok    ', open.name, ...held, ...(failed ? [failed] : [])].join('  '))
    else {
      for (const step of held) note(`ok      ${step}`)
      if (failed) note(`FAILED  ${failed}`)
    }
    open = undefined
  }
  return {
    end,
    progress: ({ step, round, rounds }) => {
      const name = round === undefined ? step : `round ${round}${rounds === undefined ? '' : ` of ${rounds}`}`
      if (open?.name !== name) {
        end(undefined)
        open = { name, inRound: round !== undefined, steps: [] }
      }
      open?.steps.push(step)
    },
  }
}
