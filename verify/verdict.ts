import type { Answer } from '#aggregation/statistics/answer.ts'
import type { Amount, Cid, NodeId, Round, RunId } from '#protocol/ids.ts'
import type { Evaluation, Origin, RunManifest } from '#protocol/manifest.ts'
import type { Masking, Population, Purpose } from '#protocol/plan.ts'
import type { Question } from '#protocol/question.ts'
import { type Result, refuse } from '#protocol/result.ts'

/** What a verification finds: a proof, or the first step that does not hold. */
export type Verdict = Proof | Failure

export type Proof = {
  readonly ok: true
  /** True when the caller named the coordinator's key or a CID: else anyone may have written this record. */
  readonly pinned: boolean
  readonly root: Cid
  readonly run: RunId
  readonly coordinator: NodeId
  readonly population: Population
  readonly masking: Masking
  readonly task: { readonly cid: Cid; readonly name: string }
  readonly outcome: RunManifest['outcome']
  /** Why it was not completed, or was before all planned rounds had trained. */
  readonly reason: string | null
  /** The closed round of another run whose model it started from: that run's own record proves it. */
  readonly origin: Origin | null
  /** With what extensions added, as the budget is. */
  readonly planned: number
  readonly rounds: readonly RoundProof[]
  /** Everyone whose update is in a model or a final figure, ascending. */
  readonly nodes: readonly NodeId[]
  readonly model: Cid
  /** What was asked, and what the sum says to it; null where a model was trained, and the answer where there is none. */
  readonly question: Question | null
  readonly answer: Answer | null
  /** Of the final model on held-out rows; null when no evaluate round closed. */
  readonly evaluation: Evaluation | null
  /** correct ÷ rows; null when nothing was evaluated, and of a model of numbers, which is right about no row. */
  readonly accuracy: number | null
  readonly budget: Amount
  readonly paid: Amount
  readonly released: Amount
  /** Distinct blocks and their bytes, each hashed; signatures, each checked. */
  readonly checked: Checked
}

export type Checked = { readonly blocks: number; readonly bytes: number; readonly signatures: number }

export type RoundProof = {
  readonly round: Round
  readonly purpose: Purpose
  readonly outcome: 'closed' | 'aborted'
  /** Updates in the sum. */
  readonly reports: number
  /** Null when the round was aborted. */
  readonly vectors: VectorsProof | null
  /** Of the round's incoming model; null when the round was aborted. */
  readonly evaluation: Evaluation | null
  /** The same, as of the run. */
  readonly accuracy: number | null
  /** The model after the round. */
  readonly model: Cid
  readonly paid: Amount
  /** Why it was aborted. */
  readonly reason: string | null
}

/**
 * `recomputed`: the vectors were added up again, and in a masked round the masks taken off. `committed`: only hashes of the
 * masked vectors are public and nobody gave the vectors, so that the sum is the one that the coordinator signed. `expired`:
 * the vectors were part of the record and are kept no more, which the caller asked to let pass; the sum is the same word.
 */
export type VectorsProof = 'recomputed' | 'committed' | 'expired'

/** Rounds whose sums are the coordinator's word. */
export function unaddedIn<R extends { readonly vectors: VectorsProof | null }>(rounds: readonly R[]): readonly R[] {
  return rounds.filter(({ vectors }) => vectors === 'committed' || vectors === 'expired')
}

export type Failure = {
  readonly ok: false
  readonly step: Step
  /** The round in which the step failed, where it belongs to one. */
  readonly round?: Round
  readonly detail: string
}

/**
 * Every step, in order; those from `round-manifest` to `payout` are taken once a closed round. Of an aborted one it is
 * `aborted`, and then `plan`, `endings`, `cohort`, `roster` and `update`. Names are stable.
 */
export type Step =
  /** The file is a bundle: one root, depth-first order, each block once, every byte accounted for. */
  | 'container'
  /** Every block is there and hashes to its CID. */
  | 'block'
  /** The root is a run manifest, signed by the coordinator that it names. */
  | 'run-manifest'
  /** That coordinator is the one the caller pinned. */
  | 'coordinator'
  /** It is of the run that the caller asked for, or of the round of it. */
  | 'run'
  /** The run or its model has the CID that the caller expects. */
  | 'expect'
  /** The task and its architecture can be read and make a model; or the question can be read. */
  | 'task'
  /** The first model is the one that architecture and seed give. */
  | 'genesis'
  /** The same coordinator signed the round of another run that this one says it starts from, and that it made this first model. */
  | 'origin'
  /** Of a round by itself: the manifest that it follows is the same coordinator's, and what it names can be started from. */
  | 'start'
  /** The same coordinator signed the round, and it follows the last closed one. */
  | 'round-manifest'
  /** The same coordinator signed what became of a round that came to nothing, and it is of this round and pays nobody. */
  | 'aborted'
  /** The same coordinator signed what the round did, from this model, for this task, with the lots and quantiser that follow. */
  | 'plan'
  /** What the plan tells of earlier sessions over its model is what their members signed. */
  | 'endings'
  /** Seats are in order, none twice, as many as the plan admits and enough of them reported. */
  | 'cohort'
  /** The record of the draw counts what the rounds before say, gives tickets by the rule, and its draw is the cohort. */
  | 'selection'
  /** A masked round's session is named, and a plain one names none; its messages can be read and are signed. */
  | 'session'
  /** The coordinator signed the roster: this task, round, plan, model and cohort, sound adverts, exact thresholds. */
  | 'roster'
  /** U2 is signed, large enough, and each of its members committed to a share for every other. */
  | 'sharing'
  /** U3 is signed, large enough, and of members of U2 who each signed one input for it. */
  | 'survivors'
  /** A quorum of U3 signed that it is the set. */
  | 'certificate'
  /** The revealed seeds of survivors are those that they committed to, and of all of them. */
  | 'self-seed'
  /** The revealed roots of dropouts make the mask keys in their adverts, and are of all of them. */
  | 'mask-root'
  /** Each ciphertext between a survivor and a dropout is the one that was signed (suite 2), and there is no other. */
  | 'mask-ciphertext'
  /** Each report is signed by its seat's key, for this run, round, seat, plan and model; or is the input that U3 lists. */
  | 'update'
  /** Each vector is there, as long as the model asks and within its ranges; a masked one is the bytes that were signed. */
  | 'vector'
  /** A masked sum keeps the ranges, counts its survivors, weighs what their adverts say; a plain one whose vectors expired counts its reports. */
  | 'ranges'
  /** The vectors add up to the aggregate; in a masked round the signed result says so too. */
  | 'sum'
  /** The aggregate makes the next model out of the incoming one. */
  | 'model'
  /** … and the strategy's memory. */
  | 'memory'
  /** … and the incoming model's figures. */
  | 'evaluation'
  /** The aggregate of a question's round is an answer, of rows that can be, over as many sites as the question wants. */
  | 'answer'
  /** Each contributor has one signed receipt for the right amount, and nobody else has one. */
  | 'payout'
  /** Receipts add up to what was paid, paid and released to the budget, and the run ends where its rounds do. */
  | 'ledger'

/** Another check's refusal, as the refusal of a step. */
export function asStep<T, S extends Step>(step: S, what: string, result: Result<T>): Result<T, S> {
  return result.ok ? result : refuse(step, `${what}: ${result.refusal}${result.detail ? `, ${result.detail}` : ''}`)
}
