import { parseCid } from '#protocol/cid.ts'
import { type Cid, type NodeId, parseNodeId } from '#protocol/ids.ts'
import type { Proof, Failure as Refuted, Step, Verdict } from '#verify/verdict.ts'
import { type VerifyProgress, verifyBundle, verifyRecord } from '#verify/verify.ts'
import { type Arguments, usage } from './arguments.ts'
import type { Call } from './commands.ts'
import { EXIT } from './failure.ts'
import type { Output } from './output.ts'
import { openRecord } from './record-source.ts'
import { formatBytes, formatCredits } from './render/units.ts'

/** `consilium verify`: exit 0 only for a record that holds, and for the pinned coordinator and CID where they are given. */
export async function execute({ args, output }: Call): Promise<number> {
  const pins = pinsOf(args)
  await using record = await openRecord(args.positionals[0] as string, args)
  const steps = stepTeller(output)
  const options = { ...pins, progress: steps.progress }
  const verdict =
    record.kind === 'bundle'
      ? await verifyBundle(record.file, options)
      : await verifyRecord(record.root, record.block, options)
  steps.end(verdict.ok ? undefined : verdict.step)
  if (output.json) output.object(verdictData(verdict))
  else for (const line of verdict.ok ? proofLines(verdict) : failureLines(verdict)) output.line(line)
  return verdict.ok ? EXIT.ok : EXIT.unverified
}

function pinsOf(args: Arguments): { readonly coordinator?: NodeId; readonly expect?: Cid } {
  const [key, cid] = [args.text('coordinator'), args.text('expect')]
  const coordinator = key === undefined ? undefined : parseNodeId(key)
  if (coordinator && !coordinator.ok) throw usage('bad_value', `--coordinator is a key, z6Mk…, not ${key}`)
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
      const name = round === undefined ? step : `round ${round} of ${rounds}`
      if (open?.name !== name) {
        end(undefined)
        open = { name, inRound: round !== undefined, steps: [] }
      }
      open?.steps.push(step)
    },
  }
}

function proofLines(proof: Proof): readonly string[] {
  const { evaluation, accuracy, checked, rounds } = proof
  const closed = rounds.filter(({ outcome, purpose }) => outcome === 'closed' && purpose === 'train').length
  const credits = (amount: bigint) => formatCredits(amount)
  return [
    `run          ${proof.run}  (${proof.task.name}, ${proof.outcome})`,
    `masking      ${proof.masking}`,
    `coordinator  ${proof.coordinator}`,
    ...proof.nodes.map((node, index) => `${index === 0 ? 'nodes' : '     '}        ${node}`),
    `rounds       ${closed} of ${proof.planned} trained`,
    `model        ${proof.model}`,
    ...(evaluation && accuracy !== null
      ? [`accuracy     ${accuracy.toFixed(4)} on ${evaluation.rows} held-out rows`]
      : []),
    `budget       ${credits(proof.budget)} credits = ${credits(proof.paid)} paid + ${credits(proof.released)} released`,
    `record       ${proof.root}`,
    `checked      ${checked.blocks} blocks, ${formatBytes(checked.bytes)}, ${checked.signatures} signatures`,
    `verify       ${proof.pinned ? 'ok (pinned)' : UNPINNED}`,
  ]
}

const UNPINNED =
  'ok, unpinned: whole and consistent, but anyone could have written it; --coordinator <z6Mk…> pins who did'

function failureLines({ step, round, detail }: Refuted): readonly string[] {
  return [`verify       FAILED at ${step}${round === undefined ? '' : ` of round ${round}`}: ${detail}`]
}

/** As JSON: snake_case, amounts as texts. */
function verdictData(verdict: Verdict): object {
  if (!verdict.ok) {
    const { step, round, detail } = verdict
    return { ok: false, step, round: round ?? null, detail }
  }
  const { budget, paid, released, rounds, evaluation, ...proof } = verdict
  return {
    ...proof,
    evaluation: evaluationData(evaluation),
    rounds: rounds.map((round) => ({
      ...round,
      paid: round.paid.toString(),
      evaluation: evaluationData(round.evaluation),
    })),
    ledger: { budget: budget.toString(), paid: paid.toString(), released: released.toString() },
  }
}

function evaluationData(evaluation: Proof['evaluation']): object | null {
  if (!evaluation) return null
  const { rows, correct, lossQ16 } = evaluation
  return { rows, correct, loss: rows > 0 ? lossQ16 / 65_536 / rows : null }
}
