import { api, type Command, coordinator, type Option, profile } from '../command.ts'

const pin: Option = {
  name: 'coordinator-key',
  value: '<z6Mk…>',
  env: 'CONSILIUM_COORDINATOR_KEY',
  summary: 'pin: the record must be signed by this key',
}

/** What comes of runs: models, and who was paid for them. */
export const MODELS: readonly Command[] = [
  {
    name: 'model pull',
    summary: 'take a model home as files, checked against its CID and the signed record',
    positional: { name: '<run[:round]>', required: true },
    options: [
      ...api,
      pin,
      {
        name: 'format',
        value: '<name,name>',
        default: 'safetensors',
        summary: 'safetensors, npz, tfjs (a ZIP of model.json and weights) or raw (float32)',
      },
      { name: 'out', value: '<folder>', default: '.', summary: 'where the files go' },
      { name: 'force', summary: 'replace files that are there' },
    ],
    examples: ['consilium model pull run_01KQ7', 'consilium model pull run_01KQ7:3 --format tfjs,npz --out models'],
    prints: 'pulled',
    load: () => import('../model-pull.ts'),
  },
  {
    name: 'model card',
    summary: "write the model's card: Markdown for the Hugging Face Hub",
    positional: { name: '<run>', required: true },
    options: api,
    examples: ['consilium model card run_01KQ7 > README.md'],
    prints: 'card',
    load: () => import('../model-card.ts'),
  },
  {
    name: 'model diff',
    summary: 'how far apart two models are, tensor by tensor: norms and cosines',
    positional: { name: '<run[:round]> <run[:round]>', required: true, max: 2 },
    options: [...api, pin],
    examples: ['consilium model diff run_01KQ7:1 run_01KQ7:2', 'consilium model diff run_01KQ7 run_01KQ8 --json'],
    prints: 'model-diff',
    load: () => import('../model-diff.ts'),
  },
  {
    name: 'earnings',
    summary: 'what each node has earned, over all runs',
    options: api,
    examples: ['consilium earnings', 'consilium earnings --json'],
    prints: 'balances',
    load: () => import('../earnings.ts'),
  },
  {
    name: 'payouts ls',
    summary: 'list what was paid, the newest round first, with its receipts',
    positional: { name: '<run>', required: false },
    options: [
      ...api,
      { name: 'node', value: '<z6Mk…>', summary: 'to this node alone' },
      { name: 'limit', value: '<n>', default: '50', summary: 'how many' },
    ],
    examples: ['consilium payouts ls', 'consilium payouts ls run_01KQ7 --node z6Mk…'],
    prints: 'payouts',
    load: () => import('../payouts-ls.ts'),
  },
  {
    name: 'receipt show',
    summary: "one receipt: the coordinator's signed word that an update is in a model and worth this much",
    positional: { name: '<CID>', required: true },
    options: [coordinator, profile, pin],
    examples: ['consilium receipt show bafy…'],
    prints: 'receipt',
    load: () => import('../receipt-show.ts'),
  },
]
