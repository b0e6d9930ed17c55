import { CREATE_RUN } from './examples.ts'

/** What OpenAPI shows of models and money, as `examples.ts` does of runs. */
const RUN_ID = 'run_01KQ7ZV0A1B2C3D4E5F6G7H8J9'
const NODE_ID = 'z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH'
const CID = 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'
const AT = '2026-11-22T09:31:04.120Z'

export const TASK = {
  ...{ task: CID, name: CREATE_RUN.task.name, data: 'table', loss: CREATE_RUN.task.loss, architecture: CID },
  ...{ genesis: CID, parameters: 4, trained: 4, created_at: AT },
}

export const MODEL = {
  ...{ model: CID, architecture: CID, weights: CID, size_bytes: 16, parameters: 4, trained: 4 },
  ...{ input: [3], output: [1] },
  tensors: [
    { name: 'out/kernel', shape: [3, 1], role: 'trainable' },
    { name: 'out/bias', shape: [1], role: 'trainable' },
  ],
  lineage: [{ run: RUN_ID, round: 3, manifest: CID }],
}

export const METRICS = {
  round: [0, 1, 2],
  loss: [0.69, 0.51, 0.44],
  accuracy: [0.5, 0.78, 0.83],
  reports: [null, 3, 3],
}

const SITE = { node: NODE_ID, rows: 41, correct: 34, accuracy: 0.829, loss: 0.44 }
export const MATRIX_ROW = {
  ...{ round: 2, model: CID, tested_in: 3, sites: [SITE], why: null },
  all: { rows: 41, sites: null, accuracy: 0.829, loss: 0.44 },
}

export const PAYOUT = { node: NODE_ID, operator: 'charite', amount: '33334', run: RUN_ID, round: 3, receipt: CID }
export const BALANCE = { node: NODE_ID, operator: 'charite', earned: '100000', updates: 3 }

export const VERIFICATION = {
  ...{ verdict: 'proved', run: RUN_ID, root: CID, checked_at: AT, took_ms: 1700, failure: null },
  figures: {
    ...{ rounds_closed: 9, rounds_aborted: 0, sums_recomputed: 9, sums_committed: 0, sums_expired: 0 },
    ...{ nodes: 5, blocks: 551, bytes: 1_207_062, signatures: 239 },
  },
}
