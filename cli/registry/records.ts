import { type Command, key, type Option, profile, quota, state } from '../command.ts'

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
      {
        name: 'run',
        value: '<run or CID>',
        summary: 'which run: by its id, which the record must have, or by the CID of its record, as a folder needs it',
      },
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
      profile,
    ],
    examples: [
      'consilium verify bundle.car --coordinator z6Mk…',
      'consilium verify http://127.0.0.1:7410 --run run_01KQ7 --round 3',
      'consilium verify http://127.0.0.1:7410 --run run_01KQ7',
      'consilium verify bundle.car --vectors ./masked',
    ],
    prints: 'verdict',
    load: () => import('../verify.ts'),
  },
  {
    name: 'bundles export',
    summary: 'write a run, a round, or anything else that has a CID, as one CAR file',
    positional: { name: '<run or CID>', required: false },
    options: [
      {
        name: 'from',
        value: '<URL, folder or CAR>',
        summary: 'a coordinator or any trustless gateway, a folder of blocks, or another bundle, which has one root',
      },
      round,
      {
        name: 'without-vectors',
        summary: 'leave out what updates name as their vectors: the same root, a shorter file',
      },
      { name: 'out', value: '<file>', summary: 'there whole or not at all' },
      { name: 'force', summary: 'replace the file that is there' },
      key,
      state,
      profile,
    ],
    examples: [
      'consilium bundles export run_01KQ7 --from http://127.0.0.1:7410 --out run.car',
      'consilium bundles export run_01KQ7 --from http://127.0.0.1:7410 --round 3 --out round-3.car',
      'consilium bundles export --from run.car --without-vectors --out short.car',
    ],
    prints: 'exported',
    load: () => import('../bundles-export.ts'),
  },
  {
    name: 'bundles import',
    summary: 'keep the blocks of a bundle in a folder, from which a coordinator serves them; verified first',
    positional: { name: '<CAR file>', required: true },
    options: [
      {
        name: 'into',
        value: '<folder>',
        summary:
          "a coordinator's --state, while it is stopped, or a new one; into Kubo: ipfs dag import --pin-roots=false",
      },
      ...pins,
      withoutVectors,
      quota,
    ],
    examples: ['consilium bundles import run.car --into ./state --coordinator z6Mk…'],
    prints: 'imported',
    load: () => import('../bundles-import.ts'),
  },
  {
    name: 'bundles diff',
    summary: 'whether two bundles are of one record, and else in what the records differ; exits 0 or 1',
    positional: { name: '<CAR file> <CAR file>', required: true, max: 2 },
    options: [],
    examples: ['consilium bundles diff ours.car theirs.car'],
    prints: 'bundles-diff',
    load: () => import('../bundles-diff.ts'),
  },
  {
    name: 'bundles show',
    summary: 'what a bundle is: root, kind, run, size, and what Filecoin calls it',
    positional: { name: '<CAR file>', required: true },
    options: [
      { name: 'piece', summary: 'its piece CID, commP and padded size; takes about half a second for each megabyte' },
    ],
    examples: ['consilium bundles show run.car', 'consilium bundles show run.car --piece --json'],
    prints: 'bundle',
    load: () => import('../bundles-show.ts'),
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
      {
        name: 'task',
        value: '<file>',
        summary: 'with --sites or --data: train this task, as for consilium run; a .ts file is code and is run',
      },
      {
        name: 'label',
        value: '<column>',
        summary: 'with --data and no --task: the column to predict; given again: several, each of 1, 0 or nothing',
      },
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
      'consilium sim --task task.ts --data ./data',
      'consilium sim --data ./hospitals --label edema --label effusion',
    ],
    prints: 'sim',
    load: () => import('../sim.ts'),
  },
]
