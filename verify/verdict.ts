import type { Amount, Cid, NodeId, Round, RunId } from '#protocol/ids.ts'
import type { Evaluation } from '#protocol/manifest.ts'
import type { Masking, Population, Purpose } from '#protocol/plan.ts'
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
  readonly outcome: 'completed' | 'failed'
  readonly planned: number
  readonly rounds: readonly RoundProof[]
  /** Everyone whose update is in a model or a final figure, ascending. */
  readonly nodes: readonly NodeId[]
  readonly model: Cid
  /** Of the final model on held-out rows; null when no evaluate round closed. */
  readonly evaluation: Evaluation | null
  /** correct ÷ rows; null when nothing was evaluated. */
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
  /** Of the round's incoming model; null when the round was aborted. */
  readonly evaluation: Evaluation | null
  /** The model after the round. */
  readonly model: Cid
  readonly paid: Amount
  /** Why it was aborted. */
  readonly reason: string | null
}

export type Failure = {
  readonly ok: false
  readonly step: Step
  /** The round in which the step failed, where it belongs to one. */
  readonly round?: Round
  readonly detail: string
}

/** Every step, in order; those from `round-manifest` to `payout` are taken once a closed round. Names are stable. */
export type Step =
  /** The file is a bundle: one root, depth-first order, each block once, every byte accounted for. */
  | 'container'
  /** Every block is there and hashes to its CID. */
  | 'block'
  /** The root is a run manifest, signed by the coordinator that it names. */
  | 'run-manifest'
  /** That coordinator is the one the caller pinned. */
  | 'coordinator'
  /** The run or its model has the CID that the caller expects. */
  | 'expect'
  /** The task and its architecture can be read and make a model. */
  | 'task'
  /** The first model is the one that architecture and seed give. */
  | 'genesis'
  /** The same coordinator signed the round, and it follows the last closed one. */
  | 'round-manifest'
  /** The same coordinator signed what the round did, from this model, for this task, with the lots and quantiser that follow. */
  | 'plan'
  /** Seats are in order, none twice, as many as the plan admits and enough of them reported. */
  | 'cohort'
  /** Each report is signed by its seat's key, for this run, round, seat, plan and model. */
  | 'update'
  /** Each vector is as long as the model asks and within its ranges. */
  | 'vector'
  /** The vectors add up to the aggregate. */
  | 'sum'
  /** The aggregate makes the next model out of the incoming one. */
  | 'model'
  /** … and the strategy's memory. */
  | 'memory'
  /** … and the incoming model's figures. */
  | 'evaluation'
  /** Each contributor has one signed receipt for the right amount, and nobody else has one. */
  | 'payout'
  /** Receipts add up to what was paid, paid and released to the budget, and the run ends where its rounds do. */
  | 'ledger'

/** Another check's refusal, as the refusal of a step. */
export function asStep<T>(step: Step, what: string, result: Result<T>): Result<T, Step> {
  return result.ok ? result : refuse(step, `${what}: ${result.refusal}${result.detail ? `, ${result.detail}` : ''}`)
}
