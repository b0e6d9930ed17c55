import { sitesOf } from '#aggregation/quantise.ts'
import { parseCid } from '#protocol/cid.ts'
import { type Cid, type NodeId, parseNodeId } from '#protocol/ids.ts'
import type { Evaluation } from '#protocol/manifest.ts'
import type { Masking } from '#protocol/plan.ts'
import { openMaskRemoval } from '#threads/removal.ts'
import type { Proof, Failure as Refuted, Step, Verdict } from '#verify/verdict.ts'
import { type VerifyProgress, verifyBundle, verifyRecord } from '#verify/verify.ts'
import { type Arguments, usage } from './arguments.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import type { Output } from './output.ts'
import { openRecord } from './record-source.ts'
import { answerData, answerLines } from './render/answer.ts'
import { formatBytes, formatCredits, formatTested } from './render/units.ts'
import { openVectorFolder } from './vector-folder.ts'

/** `consilium verify`: exit 0 only for a record that holds, and for the pinned coordinator and CID where they are given. */
export async function execute({ args, output }: Call): Promise<number> {
  const pins = pinsOf(args)
  await using record = await openRecord(args.positionals[0] as string, args)
  const steps = stepTeller(output)
  const folder = args.text('vectors')
  const vectors = folder === undefined ? {} : { vectors: await openVectorFolder(folder) }
  await using threads = openMaskRemoval()
  const options = { ...pins, ...vectors, removeMasks: threads.removeMasks, progress: steps.progress }
  const verdict =
    record.kind === 'bundle'
      ? await verifyBundle(record.file, options)
      : await verifyRecord(record.root, record.block, options)
  steps.end(verdict.ok ? undefined : verdict.step)
  if (output.json) output.object(verdictData(verdict))
  else
    for (const line of verdict.ok ? [...saidLines(verdict, output), ...proofLines(verdict)] : failureLines(verdict))
      output.line(line)
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

/** A question's answer, before what proves it. */
function saidLines({ question, answer }: Proof, { out }: Output): readonly string[] {
  return question && answer ? [...answerLines(question, answer, out), ''] : []
}

function proofLines(proof: Proof): readonly string[] {
  const { evaluation, accuracy, checked, rounds, masking } = proof
  const closed = rounds.filter(({ outcome, purpose }) => outcome === 'closed' && purpose === 'train').length
  const credits = (amount: bigint) => formatCredits(amount)
  return [
    `run          ${proof.run}  (${proof.task.name}, ${proof.outcome}${proof.reason === null ? '' : `: ${proof.reason}`})`,
    `masking      ${masking}`,
    `coordinator  ${proof.coordinator}`,
    ...proof.nodes.map((node, index) => `${index === 0 ? 'nodes' : '     '}        ${node}`),
    ...(proof.question ? [`question     ${proof.task.cid}`] : [`rounds       ${closed} of ${proof.planned} trained`]),
    ...(masking === 'none' ? [] : [`sums         ${sumsText(rounds)}`]),
    ...(proof.question ? [] : [`model        ${proof.model}`]),
    ...(evaluation && accuracy !== null
      ? [`accuracy     ${accuracy.toFixed(4)} ${formatTested(countsOf(masking, evaluation))}`]
      : []),
    ...(proof.question
      ? []
      : [
          `budget       ${credits(proof.budget)} credits = ${credits(proof.paid)} paid + ${credits(proof.released)} released`,
        ]),
    `record       ${proof.root}`,
    `checked      ${checked.blocks} blocks, ${formatBytes(checked.bytes)}, ${checked.signatures} signatures`,
    `verify       ${okText(proof)}`,
  ]
}

/** Under masks every site counts alike: its rows are of nobody, and are not told as if they were. */
function countsOf(masking: Masking, evaluation: Evaluation) {
  return masking === 'none' ? { rows: evaluation.rows, sites: null } : { rows: null, sites: sitesOf(evaluation) }
}

function committedOf(rounds: Proof['rounds']): Proof['rounds'] {
  return rounds.filter(({ vectors }) => vectors === 'committed')
}

function sumsText(rounds: Proof['rounds']): string {
  const closed = rounds.filter(({ vectors }) => vectors !== null).length
  const committed = committedOf(rounds).length
  if (committed === 0) return `${closed} of ${closed} recomputed from their masked vectors`
  const rest = `${committed} as the coordinator signed them; --vectors <folder> adds those up too`
  return `${closed - committed} of ${closed} recomputed from their masked vectors, ${rest}`
}

/** Whoever reads only this line is to know what was not done. */
function okText({ pinned, rounds }: Proof): string {
  const committed = committedOf(rounds).length
  const sums = committed === 0 ? '' : `, ${committed} ${committed === 1 ? 'sum' : 'sums'} not added up`
  if (pinned) return `ok (pinned)${sums}`
  return `ok, unpinned${sums}: whole and consistent, but anyone could have written it; --coordinator <z6Mk…> pins who did`
}

function failureLines({ step, round, detail }: Refuted): readonly string[] {
  return [`verify       FAILED at ${step}${round === undefined ? '' : ` of round ${round}`}: ${detail}`]
}

/** As JSON: snake_case, amounts as texts. */
function verdictData(verdict: Verdict): object {
  if (!verdict.ok) {
    const { step, round, detail } = verdict
    return { ok: false, step, round: round ?? null, detail }
  }
  const { budget, paid, released, rounds, evaluation, question, answer, ...proof } = verdict
  return {
    ...proof,
    answer: question && answer && answerData(question, answer),
    evaluation: evaluationData(evaluation, proof.masking),
    rounds: rounds.map((round) => ({
      ...round,
      paid: round.paid.toString(),
      evaluation: evaluationData(round.evaluation, proof.masking),
    })),
    ledger: { budget: budget.toString(), paid: paid.toString(), released: released.toString() },
  }
}

function evaluationData(evaluation: Proof['evaluation'], masking: Masking): object | null {
  if (!evaluation) return null
  const { rows, correct, lossQ16 } = evaluation
  const figures =
    rows > 0 ? { accuracy: correct / rows, loss: lossQ16 / 65_536 / rows } : { accuracy: null, loss: null }
  return { ...countsOf(masking, evaluation), correct: masking === 'none' ? correct : null, ...figures }
}
