import { sitesOf } from '#aggregation/quantise.ts'
import { lossOf } from '#protocol/accuracy.ts'
import { formatCredits } from '#protocol/amount.ts'
import type { Evaluation } from '#protocol/manifest.ts'
import { shown } from '#protocol/metrics.ts'
import type { Masking } from '#protocol/plan.ts'
import type { LoneProof, Start } from '#verify/lone-round.ts'
import { type Proof, type Failure as Refuted, unaddedIn, type VectorsProof } from '#verify/verdict.ts'
import type { Terminal } from '../output.ts'
import { answerData, answerLines } from './answer.ts'
import { figureLines, scoreLine } from './figures.ts'
import { formatBytes, formatTested } from './units.ts'

/** What a verification found, for a person. */
export function verdictLines(verdict: Proof | LoneProof | Refuted, out: Terminal): readonly string[] {
  if (!verdict.ok) return failureLines(verdict)
  return [...saidLines(verdict, out), ...('start' in verdict ? loneLines(verdict) : proofLines(verdict))]
}

/** A question's answer, before what proves it. */
function saidLines({ question, answer }: Proof | LoneProof, out: Terminal): readonly string[] {
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
    ...nodesLines(proof),
    ...(proof.origin
      ? [`forked from  round ${proof.origin.round} of ${proof.origin.run}, ${proof.origin.manifest}`]
      : []),
    ...(proof.question ? [`question     ${proof.task.cid}`] : [`rounds       ${closed} of ${proof.planned} trained`]),
    ...sumsLines(proof),
    ...(proof.question ? [] : [`model        ${proof.model}`]),
    ...testedLines(evaluation, accuracy, masking),
    ...(proof.question
      ? []
      : [
          `budget       ${credits(proof.budget)} credits = ${credits(proof.paid)} paid + ${credits(proof.released)} released`,
        ]),
    `record       ${proof.root}`,
    checkedLine(checked),
    `verify       ${okText(proof.pinned, rounds)}`,
  ]
}

/** Of one round by itself: with where it starts, which only the records of others prove. */
function loneLines(proof: LoneProof): readonly string[] {
  const { round, masking, start } = proof
  const { evaluation } = round
  return [
    `run          ${proof.run}  (${proof.task.name})`,
    `round        ${round.round}, ${round.purpose}, ${round.outcome}${round.reason === null ? '' : `: ${round.reason}`}`,
    `masking      ${masking}`,
    `coordinator  ${proof.coordinator}`,
    ...nodesLines(proof),
    `start        ${startText(start)}`,
    ...sumsLines({ masking, rounds: [round] }),
    ...(proof.question ? [] : [`model        ${round.model}`]),
    ...testedLines(evaluation, round.accuracy, masking, 'of the model it started from, '),
    `record       ${proof.root}`,
    checkedLine(proof.checked),
    `verify       ${okText(proof.pinned, [round])}; one round: what led to it, and pay, are in its run's record`,
  ]
}

function testedLines(
  evaluation: Evaluation | null,
  accuracy: number | null,
  masking: Masking,
  of = '',
): readonly string[] {
  if (!evaluation || evaluation.rows === 0) return []
  const tested = `${of}${formatTested(countsOf(masking, evaluation))}`
  return [
    scoreLine({ accuracy, loss: lossOf(evaluation) }, tested, 12),
    ...figureLines(evaluation.figures?.map(shown), 12),
  ]
}

function startText(start: Start): string {
  if (start.kind === 'genesis') return 'the genesis, made here'
  return `as the parent's manifest says (round ${start.round}, ${start.parent}): ${start.model}`
}

function nodesLines({ nodes }: Pick<Proof, 'nodes'>): readonly string[] {
  return nodes.map((node, index) => `${index === 0 ? 'nodes' : '     '}        ${node}`)
}

function checkedLine({ blocks, bytes, signatures }: Proof['checked']): string {
  return `checked      ${blocks} blocks, ${formatBytes(bytes)}, ${signatures} signatures`
}

/** Under masks every site counts alike: its rows are of nobody, and are not told as if they were. */
function countsOf(masking: Masking, evaluation: Evaluation) {
  return masking === 'none' ? { rows: evaluation.rows, sites: null } : { rows: null, sites: sitesOf(evaluation) }
}

type Sums = readonly { readonly vectors: VectorsProof | null }[]

/** Of plain rounds nothing is said while all was added up: there is no other way for them to hold. */
function sumsLines({ masking, rounds }: { readonly masking: Masking; readonly rounds: Sums }): readonly string[] {
  const closed = rounds.filter(({ vectors }) => vectors !== null).length
  const count = (proof: VectorsProof) => rounds.filter(({ vectors }) => vectors === proof).length
  if (masking === 'none' && count('expired') === 0) return []
  const parts = [
    `${count('recomputed')} of ${closed} recomputed from their ${masking === 'none' ? '' : 'masked '}vectors`,
    ...(count('committed') > 0
      ? [`${count('committed')} as the coordinator signed them; --vectors <folder> adds those up too`]
      : []),
    ...(count('expired') > 0
      ? [`${count('expired')} as the coordinator signed them, for their vectors are kept no more`]
      : []),
  ]
  return [`sums         ${parts.join(', ')}`]
}

/** Whoever reads only this line is to know what was not done. */
function okText(pinned: boolean, rounds: Sums): string {
  const unadded = unaddedIn(rounds).length
  const sums = unadded === 0 ? '' : `, ${unadded} ${unadded === 1 ? 'sum' : 'sums'} not added up`
  if (pinned) return `ok (pinned)${sums}`
  return `ok, unpinned${sums}: whole and consistent, but anyone could have written it; --coordinator <z6Mk…> pins who did`
}

function failureLines({ step, round, detail }: Refuted): readonly string[] {
  return [`verify       FAILED at ${step}${round === undefined ? '' : ` of round ${round}`}: ${detail}`]
}

/** As JSON: snake_case, amounts as texts. */
export function verdictData(verdict: Proof | LoneProof | Refuted): object {
  if (!verdict.ok) {
    const { step, round, detail } = verdict
    return { ok: false, step, round: round ?? null, detail }
  }
  const { question, answer, masking } = verdict
  const said = question && answer && answerData(question, answer)
  if ('start' in verdict) {
    const { question: _, round, ...proof } = verdict
    return { kind: 'round', ...proof, answer: said, round: roundData(round, masking) }
  }
  const { question: _, budget, paid, released, rounds, evaluation, ...proof } = verdict
  return {
    kind: 'run',
    ...proof,
    answer: said,
    evaluation: evaluationData(evaluation, proof.accuracy, masking),
    rounds: rounds.map(({ paid, ...round }) => ({ ...roundData(round, masking), paid: paid.toString() })),
    ledger: { budget: budget.toString(), paid: paid.toString(), released: released.toString() },
  }
}

function roundData({ accuracy, evaluation, ...round }: LoneProof['round'], masking: Masking): object {
  return { ...round, evaluation: evaluationData(evaluation, accuracy, masking) }
}

function evaluationData(evaluation: Proof['evaluation'], accuracy: number | null, masking: Masking): object | null {
  if (!evaluation) return null
  const { rows, correct } = evaluation
  // Of numbers no row is right, which a record says as 0.
  const isCounted = masking === 'none' && (accuracy !== null || rows === 0)
  const figures = { accuracy, loss: rows > 0 ? lossOf(evaluation) : null }
  const asked = evaluation.figures && { figures: evaluation.figures.map(shown) }
  return { ...countsOf(masking, evaluation), correct: isCounted ? correct : null, ...figures, ...asked }
}
