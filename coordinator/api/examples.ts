/** What OpenAPI shows of each shape; a test holds them valid, and the requests among them are sent as they stand. */
const RUN_ID = 'run_01KQ7ZV0A1B2C3D4E5F6G7H8J9'
const NODE_ID = 'z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH'
const CID = 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'
const AT = '2026-11-22T09:31:04.120Z'
const COHORT = { min: 3, max: 10, quorum: 3 }

export const FILE = { cid: CID, size_bytes: 4096 }

export const CREATE_RUN = {
  task: {
    name: 'outcome from age and sex',
    seed: '01'.repeat(32),
    architecture: {
      v: 1,
      input: [3],
      layers: [{ layer: 'dense', name: 'out', units: 1, activation: 'linear' }],
    },
    data: {
      kind: 'table',
      columns: [
        { kind: 'number', name: 'age', gaps: true },
        { kind: 'category', name: 'sex', levels: [0, 1], gaps: false },
      ],
      label: { column: 'outcome', rule: 'not-zero', classes: 2 },
      rowsMax: 4096,
    },
    loss: 'sigmoid-cross-entropy',
    optimiser: { kind: 'sgd', rateMicro: 50_000, momentumMicro: 900_000 },
    epochs: 2,
    batchSize: 16,
  },
  rounds: 10,
  budget: '1000000',
  cohort: COHORT,
}

export const CREATE_ASK = {
  question: {
    ...{ v: 1, kind: 'question', name: 'how many, and how old', minCell: 5, minCohort: 3 },
    items: [
      { kind: 'count', column: null },
      { kind: 'moments', column: 'age', lowMicro: 0, highMicro: 120_000_000, resolutionMicro: 1_000_000 },
    ],
  },
}

const HEAD = { id: RUN_ID, status: 'running', reason: null, created_at: AT }

export const ASK = {
  ...{
    ...HEAD,
    name: CREATE_ASK.question.name,
    labels: { project: 'sepsis' },
    population: 'open',
    federation: null,
    question: CID,
    min_cell: 5,
    min_cohort: 3,
  },
  ...{ round: 1, phase: 'keys', manifest: null },
}

const EVALUATION = { rows: null, sites: 3, accuracy: 0.861, loss: 0.412 }

export const RUN = {
  ...{
    ...HEAD,
    purpose: 'train',
    name: CREATE_RUN.task.name,
    labels: { project: 'sepsis' },
    population: 'open',
    federation: null,
    masking: 'secagg/1',
  },
  ...{ rounds: 10, closed: 3, over: 3, round: 4, phase: 'collecting', task: CID, model: CID, manifest: null },
  ...{ vectors: 'kept', vectors_until: null, evaluation: EVALUATION },
  ...{ stop_when: { metric: 'loss', patience: 3, min_delta: 0.001 }, origin: null },
  ...{ budget: CREATE_RUN.budget, paid: '300000', released: '0' },
}

export const RUN_COUNTS = {
  statuses: { funding: 0, running: 2, paused: 1, finishing: 0, completed: 41, failed: 3, stopped: 0 },
  ...{ rounds: { closed: 57, aborted: 2 }, since: AT },
}
export const LABELLED = { name: 'sepsis, second try', labels: { project: 'sepsis', 'paper/figure': '2', old: null } }
export const PAUSE = { reason: 'the night shift needs its machines' }
export const EXTEND = { rounds: 10, budget: '1000000' }

export const DRY_RUN = {
  ...{ ok: true, errors: [], parameters: 4, trained: 4, memory_bytes: 9216, rounds: 10 },
  bytes: {
    ...{ up_per_node: 80, down_per_node: 816, per_round: 8960 },
    by_codec: [
      { codec: 'ring32', bytes_up: 80, available: true },
      { codec: 'float32', bytes_up: 16, available: false },
    ],
  },
  cost: { budget: '1000000', per_round: '100000', per_update_min: '10000', per_update_max: '33334' },
  privacy: { epsilon: null, reason: 'nothing is added to hide a row, and so nothing bounds ε' },
  population: { linked: 2, willing: 1, needed: 3 },
  sites: [
    {
      node: NODE_ID,
      operator: 'charite',
      linked: true,
      accepts: false,
      rule: 'cohort-too-small',
      detail: 'at least 5 reports',
    },
  ],
  compatibility: [{ feature: 'secure aggregation', state: 'used', detail: 'secagg/1, 3 to 128 seats' }],
}

export const STOP = { reason: 'the data changed' }

export const ROUND = {
  ...{ round: 3, purpose: 'train', outcome: 'closed', phase: null, reason: null, cohort: 3, reports: 3 },
  ...{ opened_at: AT, ended_at: '2026-11-22T09:31:12.063Z', record: CID, evaluation: EVALUATION },
}

const SEAT = {
  ...{ seat: 0, node: NODE_ID, outcome: 'reported', reason: null, update: CID },
  ...{ reported_at: null, train_ms: null },
}
export const ROUND_WITH_SEATS = { ...ROUND, seats: [SEAT] }

const SPEED = {
  ...{ model: 'mlp', milli_samples_per_second: 14_200_000, measured_at: AT, standing: 'confirmed' },
  ...{ observed_milli_samples_per_second: 13_900_000, checked_at: AT },
}

export const NODE = {
  ...{ id: NODE_ID, linked: true, operator: 'charite', standing: 'confirmed' },
  capability: {
    ...{ backend: 'wasm', adapter: '', software: false, deterministic: true, memory_bytes: 2_147_483_648 },
    ...{ version: '0.1.0', population: 'open', reported_at: AT, stale: false, stale_at: '2026-11-29T09:31:04.120Z' },
    speeds: [SPEED],
  },
}

const CHECK = {
  ...{ at: AT, model: 'mlp', verdict: 'confirmed', claimed_milli_samples_per_second: 14_200_000 },
  ...{ observed_milli_samples_per_second: 13_900_000, elapsed_ms: 147, train_ms: 144 },
}
export const NODE_WITH_HISTORY = {
  ...{ ...NODE, checks: [CHECK] },
  rounds: [{ run: RUN_ID, round: 3, train_ms: 7905, elapsed_ms: 7943 }],
}

export const PROBLEM = {
  ...{ type: 'urn:consilium:problem:insufficient_scope', title: 'This key is not for that', status: 403 },
  ...{ detail: 'a key with the scope runs:write is needed', instance: '/v1/runs', code: 'insufficient_scope' },
  ...{ request_id: 'req_01KQ7ZV6S2T3V4W5X6Y7Z8A9B0', retryable: false },
}

export const EVENT = { type: 'run.created', run: RUN_ID, seq: 0, time: AT, purpose: 'train', rounds: 10 }

export const PUBLICATION = {
  ...{ run: RUN_ID, what: 'record', cid: CID, published: true },
  at: [{ provider: 'pinata', request: 'r-1', status: 'pinned', requested_at: AT }],
}

export const PROVIDER = { name: 'pinata', state: 'ready', detail: null }

export const PIN = {
  ...{ cid: CID, name: 'run 12', meta: { app: 'consilium' } },
  origins: ['/ip4/203.0.113.7/tcp/4001/p2p/12D3KooWBhMbLvgiNV4XkbyqqqSCnWQGqqGyxbGrQqzGVBfyEiQi'],
}

export const PIN_STATUS = {
  ...{ requestid: 'pin_01KQ7ZV6S3W8M4N5P6Q7R8S9T0', status: 'queued', created: AT, pin: PIN },
  delegates: ['/ip4/203.0.113.9/tcp/7410/http/p2p/12D3KooWBhMbLvgiNV4XkbyqqqSCnWQGqqGyxbGrQqzGVBfyEiQi'],
}
