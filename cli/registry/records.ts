import { type Command, key, type Option, state } from '../command.ts'

const round: Option = {
  name: 'round',
  value: '<n>',
  summary: 'one round of the run, by itself: what led to its start is in the run',
}
const withoutVectors: Option = {
  name: 'without-vectors',
  summary: 'of rounds whose vectors are gone check all but the sum, which then is the word of the coordinator',
}
const pins: readonly Option[] = [
  {
    name: 'coordinator',
    value: '<z6Mk…>',
    env: 'CONSILIUM_COORDINATOR_KEY',
    summary: 'pin: the record must be signed by this key',
  },
  { name: 'expect', value: '<CID>', summary: "pin: the record's, or the final model's, CID" },
]

/** What anybody does with records, and the simulator. */
export const RECORDS: readonly Command[] = [
  {
    name: 'verify',
    summary: 'redo a run, or one round, from its record: every hash, signature, sum, model, figure and payment',
    positional: { name: '<CAR file, folder or URL>', required: true },
    options: [
      { name: 'run', value: '<run or CID>', summary: 'which run; a bundle holds just one, a folder needs its CID' },
      round,
      ...pins,
      withoutVectors,
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
      'consilium verify http://127.0.0.1:7410 --run run_01KQ7 --round 3',
      'consilium verify http://127.0.0.1:7410 --run run_01KQ7',
      'consilium verify bundle.car --vectors ./masked',
    ],
    load: () => import('../verify.ts'),
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
    load: () => import('../sim.ts'),
  },
]
