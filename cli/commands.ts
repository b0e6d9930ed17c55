import type { Arguments } from './arguments.ts'
import type { Output } from './output.ts'

/** Every command: what `--help` shows, and where its work is. Nothing else is loaded until a command runs. */
export type Command = {
  /** One or two words: noun, verb. */
  readonly name: string
  readonly summary: string
  readonly positional?: { readonly name: string; readonly required: boolean; readonly max?: number }
  readonly options: readonly Option[]
  readonly examples: readonly string[]
  readonly load: () => Promise<{ readonly execute: Execute }>
}

export type Option = {
  readonly name: string
  readonly short?: string
  /** How the value is called; an option without one is a flag. */
  readonly value?: string
  readonly summary: string
  /** The environment variable that is read when the flag is not given. */
  readonly env?: string
  readonly default?: string
  /** For our own processes: works, is not shown. */
  readonly hidden?: true
}

export type Call = { readonly args: Arguments; readonly output: Output }
/** @returns the exit code. Throws Failure. */
export type Execute = (call: Call) => Promise<number>

const state: Option = {
  name: 'state',
  value: '<folder>',
  env: 'CONSILIUM_HOME',
  summary: "the coordinator's folder; else $XDG_STATE_HOME/consilium",
}
const coordinators: Option = {
  name: 'coordinator',
  value: '<url,url>',
  env: 'CONSILIUM_COORDINATOR',
  default: 'http://127.0.0.1:7410',
  summary: 'where the coordinator listens; of several processes of one all, and the node goes to whichever is there',
}
const coordinator: Option = {
  name: 'coordinator',
  value: '<url>',
  env: 'CONSILIUM_COORDINATOR',
  default: 'http://127.0.0.1:7410',
  summary: 'where the coordinator listens',
}
const key: Option = {
  name: 'key',
  value: '<file>',
  summary: 'file of the API key; else CONSILIUM_API_KEY, else <state>/api-key',
}
const tethered: Option = {
  name: 'tethered',
  summary: 'end when stdin closes: whoever started this is gone',
  hidden: true,
}
/** From outside the blow may come when the report is out already: the node that is to die takes it upon itself. */
const diesInRound: Option = {
  name: 'dies-in-round',
  value: '<n>',
  summary: 'for demo --chaos: kill -9 of oneself in this round, once its keys are shared and before its input leaves',
  hidden: true,
}
const api = [coordinator, key, state]

export const COMMANDS: readonly Command[] = [
  {
    name: 'demo',
    summary: 'train a real model across separate node processes on this machine, and verify it',
    options: [
      { name: 'nodes', value: '<n>', summary: 'node processes; default 5, or one for each CSV file' },
      { name: 'rounds', value: '<n>', default: '8', summary: 'training rounds' },
      { name: 'seed', value: '<text>', default: '1', summary: 'root of all randomness: the same seed, the same model' },
      { name: 'data', value: '<folder>', summary: 'your own data, one CSV file a site, instead of handwritten digits' },
      { name: 'label', value: '<column>', summary: 'with --data: the column to predict' },
      {
        name: 'classes',
        value: '<n>',
        summary: 'with --data: labels are 0 … n-1; else more than two values mean "not 0"',
      },
      { name: 'chaos', summary: 'kill one node in round 2, after it has shared its keys' },
      { name: 'folder', value: '<folder>', summary: 'where to keep everything; default ./.consilium/demo-<time>' },
      { name: 'keep', summary: 'leave coordinator and nodes running afterwards, until Ctrl-C' },
    ],
    examples: ['consilium demo', 'consilium demo --chaos', 'consilium demo --data ./hospitals --label num --rounds 15'],
    load: () => import('./demo.ts'),
  },
  {
    name: 'coordinator up',
    summary: 'run the coordinator: API, blocks and node link on one port',
    options: [
      {
        name: 'host',
        value: '<address>',
        default: '127.0.0.1',
        summary: 'address to listen on; off loopback only with TLS',
      },
      { name: 'port', value: '<n>', default: '7410', summary: 'port to listen on; 0 takes a free one' },
      state,
      { name: 'allow', value: '<file>', summary: 'who may link: node ids, one a line, each with its operator, if any' },
      { name: 'open', summary: 'let any node link' },
      { name: 'tls-cert', value: '<file>', summary: 'certificate chain, PEM' },
      { name: 'tls-key', value: '<file>', summary: 'its private key, PEM' },
      {
        name: 'grace',
        value: '<ms>',
        default: '10000',
        summary: 'how long a node may be away before its seat is given up',
      },
      {
        name: 'redis',
        value: '<url>',
        env: 'CONSILIUM_REDIS',
        summary:
          'one of several coordinators that share this Redis and --state; rather by the variable: it may hold a password',
      },
      {
        name: 'redis-trusted',
        summary: 'speak with a Redis off loopback without TLS: nobody can read or write that network',
      },
      {
        name: 'quota',
        value: '<bytes>',
        default: '10737418240',
        summary: 'disk that each of the three stores of blocks may take',
      },
      {
        name: 'log-level',
        value: '<level>',
        default: 'info',
        summary: 'fatal, error, warn, info, debug, trace or silent',
      },
      tethered,
    ],
    examples: ['consilium coordinator up --allow nodes.txt', 'consilium coordinator up --open --port 0 --json'],
    load: () => import('./coordinator-up.ts'),
  },
  {
    name: 'node up',
    summary: 'run a node: it trains on data that stays here, and is paid',
    options: [
      coordinators,
      {
        name: 'coordinator-key',
        value: '<z6Mk…>',
        env: 'CONSILIUM_COORDINATOR_KEY',
        summary: 'its key, pinned: nobody else is listened to',
      },
      {
        ...state,
        summary: "the node's folder: key, journal of masked rounds, receipts; else $XDG_STATE_HOME/consilium/node",
      },
      { name: 'data', value: '<path>', summary: 'a CSV file, or a folder with images.idx and labels.idx' },
      {
        name: 'population',
        value: '<kind>',
        summary: 'hospital: refuse whatever is not masked; open: take unmasked rounds, too',
      },
      {
        name: 'cohort-min',
        value: '<n>',
        default: '2',
        summary: 'fewest reports in a round that this node takes part in',
      },
      {
        name: 'allow',
        value: '<file>',
        summary: 'who may be in a masked round with this node: node ids, one a line; a hospital node needs it',
      },
      {
        name: 'max-corrupt',
        value: '<n>',
        summary:
          'nodes of all those allowed that may work with the coordinator; default a fifth of the others, at least 1',
      },
      {
        name: 'max-memory',
        value: '<MiB>',
        default: '2048',
        summary: 'memory that training may take: a task that needs more is declined before its model is fetched',
      },
      {
        name: 'min-cell',
        value: '<n>',
        summary: 'answer questions about the data, none of whose cells is of fewer rows; else none is answered',
      },
      { name: 'withhold-evaluation', summary: "masked rounds: add no figures on this node's held-out rows" },
      { name: 'backend', value: '<name>', default: 'auto', summary: 'auto, wasm or cpu' },
      tethered,
      diesInRound,
    ],
    examples: [
      'consilium node up --coordinator-key z6Mk… --data ./site.csv --population open',
      'consilium node up --coordinator-key z6Mk… --data ./site.csv --population hospital --allow nodes.txt',
    ],
    load: () => import('./node-up.ts'),
  },
  {
    name: 'node id',
    summary: "print a node's id, making its key if there is none",
    options: [{ ...state, summary: "the node's folder; else $XDG_STATE_HOME/consilium/node" }],
    examples: ['consilium node id --state ./site-1 >> nodes.txt'],
    load: () => import('./node-id.ts'),
  },
  {
    name: 'run',
    summary: 'launch a run from a task file',
    positional: { name: '<task.json>', required: true },
    options: [
      ...api,
      { name: 'watch', summary: 'follow it to its end' },
      { name: 'idempotency-key', value: '<text>', summary: 'a repeat under the same key answers the first run' },
    ],
    examples: ['consilium run task.json --watch', 'consilium run - < task.json'],
    load: () => import('./run.ts'),
  },
  {
    name: 'runs ls',
    summary: 'list runs, the newest first',
    options: [...api, { name: 'limit', value: '<n>', default: '50', summary: 'how many' }],
    examples: ['consilium runs ls', 'consilium runs ls --json'],
    load: () => import('./runs-ls.ts'),
  },
  {
    name: 'runs show',
    summary: 'show one run and its rounds, or one round seat by seat',
    positional: { name: '<run>', required: true },
    options: [...api, { name: 'round', value: '<n>', summary: 'what became of every seat in this round, and why' }],
    examples: ['consilium runs show run_01KQ7', 'consilium runs show run_01KQ7 --round 3'],
    load: () => import('./runs-show.ts'),
  },
  {
    name: 'runs watch',
    summary: 'follow a run to its end, from its beginning',
    positional: { name: '<run>', required: true },
    options: api,
    examples: ['consilium runs watch run_01KQ7', 'consilium runs watch run_01KQ7 --json'],
    load: () => import('./runs-watch.ts'),
  },
  {
    name: 'runs resume',
    summary: 'let a paused run go on',
    positional: { name: '<run>', required: true },
    options: api,
    examples: ['consilium runs resume run_01KQ7'],
    load: () => import('./runs-resume.ts'),
  },
  {
    name: 'runs stop',
    summary: 'end a run before it is done, with its record',
    positional: { name: '<run>', required: true },
    options: [...api, { name: 'reason', value: '<text>', default: 'by its owner', summary: 'why, for the record' }],
    examples: ['consilium runs stop run_01KQ7 --reason "the data changed"'],
    load: () => import('./runs-stop.ts'),
  },
  {
    name: 'stats ask',
    summary: 'ask all sites about their data, as one masked sum, and recompute the answer',
    options: [
      ...api,
      { name: 'count', summary: 'rows' },
      { name: 'missing', value: '<column>', summary: 'rows that lack a column; again for another one, as all below' },
      { name: 'mean', value: '<column:low:high[:step]>', summary: 'mean and deviation of values between two bounds' },
      { name: 'histogram', value: '<column:a,b,…,z>', summary: 'rows between edges; … goes on by the step before it' },
      { name: 'quantiles', value: '<column:250,500>', summary: "thousandths, read off that column's histogram" },
      { name: 'categories', value: '<column:0,1>', summary: 'rows by whole number' },
      {
        name: 'question',
        value: '<file>',
        summary: 'a question as JSON, reals in millionths, instead of these; - is stdin',
      },
      { name: 'name', value: '<text>', summary: 'what the question is called' },
      { name: 'min-cell', value: '<n>', default: '5', summary: 'a cell of fewer rows never leaves its site' },
      { name: 'min-cohort', value: '<n>', default: '3', summary: 'over fewer sites there is no answer' },
      { name: 'population', value: '<kind>', default: 'open', summary: 'open or hospital: which sites are asked' },
      {
        name: 'coordinator-key',
        value: '<z6Mk…>',
        env: 'CONSILIUM_COORDINATOR_KEY',
        summary: 'pin: the record must be signed by this key',
      },
      { name: 'idempotency-key', value: '<text>', summary: 'a repeat under the same key answers the first question' },
    ],
    examples: [
      'consilium stats ask --count --mean age:0:120',
      'consilium stats ask --histogram age:0,10,…,120 --quantiles age:250,500,750 --min-cell 10',
      'consilium stats ask --question question.json --json',
    ],
    load: () => import('./stats-ask.ts'),
  },
  {
    name: 'verify',
    summary: 'redo a run from its record: every hash, signature, sum, model, figure and payment',
    positional: { name: '<CAR file, folder or URL>', required: true },
    options: [
      { name: 'run', value: '<run or CID>', summary: 'which run; a bundle holds just one, a folder needs its CID' },
      {
        name: 'coordinator',
        value: '<z6Mk…>',
        env: 'CONSILIUM_COORDINATOR_KEY',
        summary: 'pin: the record must be signed by this key',
      },
      { name: 'expect', value: '<CID>', summary: "pin: the record's, or the final model's, CID" },
      {
        name: 'vectors',
        value: '<folder>',
        summary: 'masked vectors of which the record has hashes alone: with them their sums are redone as well',
      },
      key,
      state,
    ],
    examples: [
      'consilium verify bundle.car --coordinator z6Mk…',
      'consilium verify http://127.0.0.1:7410 --run run_01KQ7',
      'consilium verify bundle.car --vectors ./masked',
    ],
    load: () => import('./verify.ts'),
  },
  {
    name: 'sim',
    summary: 'simulate in one process: a cluster and all that goes wrong in it, or many sites that train',
    options: [
      {
        name: 'seed',
        value: '<n>',
        summary: 'what all of it is drawn from: the same seed, the same history; default 1',
      },
      { name: 'seeds', value: '<a..b>', summary: 'a cluster: play all of these, and tell which broke a promise' },
      { name: 'nodes', value: '<n>', summary: 'a cluster: its nodes; default 5' },
      { name: 'coordinators', value: '<n>', summary: 'a cluster: processes of the coordinator; default 1' },
      {
        name: 'weather',
        value: '<name>',
        summary: 'a cluster: calm, rough, or (default) storm, with crashes, partitions, full disks and wrong clocks',
      },
      { name: 'sites', value: '<n>', summary: 'train for real at so many sites, on handwritten digits' },
      { name: 'data', value: '<folder>', summary: 'train for real on your own data, one CSV file a site' },
      { name: 'label', value: '<column>', summary: 'with --data: the column to predict' },
      {
        name: 'classes',
        value: '<n>',
        summary: 'with --data: labels are 0 … n-1; else more than two values mean "not 0"',
      },
      { name: 'cohort', value: '<n>', summary: 'with --sites or --data: sites in a round; default 20' },
      {
        name: 'alpha',
        value: '<a>',
        summary: 'with --sites: of the Dirichlet split; small: each sees few digits; default 0.3',
      },
      { name: 'bundle', value: '<file>', summary: 'with --sites or --data: write the record, for consilium verify' },
      { name: 'rounds', value: '<n>', summary: 'training rounds; default 3, of sites 10' },
      { name: 'masking', value: '<kind>', default: 'none', summary: 'none or secagg/1' },
    ],
    examples: [
      'consilium sim --seed 7',
      'consilium sim --seeds 1..200 --masking secagg/1',
      'consilium sim --sites 1000 --rounds 10 --bundle run.car',
    ],
    load: () => import('./sim.ts'),
  },
  {
    name: 'help',
    summary: 'explain a command or a topic',
    positional: { name: '[command or topic]', required: false, max: 2 },
    options: [],
    examples: ['consilium help verify', 'consilium help exit-codes'],
    load: () => import('./help.ts'),
  },
  {
    name: 'version',
    summary: 'print the version',
    options: [],
    examples: ['consilium version --json'],
    load: () => import('./version.ts'),
  },
]
