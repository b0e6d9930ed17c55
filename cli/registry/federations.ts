import { api, type Command, type Option, state } from '../command.ts'

const operator: Option = {
  name: 'operator',
  value: '<name>',
  summary: 'who runs it: a-z, 0-9 and -; one operator has few of the seats of a round',
}

/** Who belongs together, how nodes come in, and what they publish of their data. */
export const FEDERATIONS: readonly Command[] = [
  {
    name: 'node join',
    summary: 'take an invite: make a key for this node and become a member of a federation',
    positional: { name: '<code>', required: true },
    options: [
      {
        name: 'coordinator',
        value: '<url>',
        env: 'CONSILIUM_COORDINATOR',
        default: 'http://127.0.0.1:7410',
        summary: 'where the coordinator listens',
      },
      {
        name: 'coordinator-key',
        value: '<z6Mk…>',
        env: 'CONSILIUM_COORDINATOR_KEY',
        summary: 'its key, where you have it already: then its words need not be compared',
      },
      { ...state, summary: "the node's folder; else $XDG_STATE_HOME/consilium/node" },
      { name: 'yes', summary: "ask nothing: the coordinator's words were compared before" },
    ],
    examples: [
      'consilium node join 7Q2F-KD9P-M3XA-0WTE --coordinator https://coordinator.example:7410',
      'consilium node join 7Q2F-KD9P-M3XA-0WTE --coordinator-key z6Mk… --json',
    ],
    load: () => import('../node-join.ts'),
  },
  {
    name: 'federations ls',
    summary: 'list federations',
    options: api,
    examples: ['consilium federations ls', 'consilium federations ls --json'],
    load: () => import('../federations-ls.ts'),
  },
  {
    name: 'federations create',
    summary: 'found a federation: runs that name it invite its members alone',
    positional: { name: '<name>', required: true },
    options: [...api, { name: 'description', value: '<text>', summary: 'what it is for' }],
    examples: [
      'consilium federations create cardio',
      'consilium federations create cardio --description "heart failure"',
    ],
    load: () => import('../federations-create.ts'),
  },
  {
    name: 'federations show',
    summary: 'show one federation, with its members and open invites',
    positional: { name: '<federation>', required: true },
    options: api,
    examples: ['consilium federations show cardio', 'consilium federations show fed_01KQ7 --json'],
    load: () => import('../federations-show.ts'),
  },
  {
    name: 'federations rm',
    summary: 'dissolve a federation without unfinished runs, with its members and invites',
    positional: { name: '<federation>', required: true },
    options: api,
    examples: ['consilium federations rm cardio'],
    load: () => import('../federations-rm.ts'),
  },
  {
    name: 'invite create',
    summary: 'make a code by which nodes become members; it is shown this once',
    positional: { name: '<federation>', required: true },
    options: [
      ...api,
      operator,
      { name: 'uses', value: '<n>', default: '1', summary: 'nodes that may take it' },
      { name: 'expires', value: '<days>', default: '14', summary: 'how long it can be taken, or never' },
    ],
    examples: [
      'consilium invite create cardio --operator st-elsewhere',
      'consilium invite create cardio --uses 5 --json',
    ],
    load: () => import('../invite-create.ts'),
  },
  {
    name: 'invite ls',
    summary: 'list the invites of a federation, without their codes',
    positional: { name: '<federation>', required: true },
    options: api,
    examples: ['consilium invite ls cardio'],
    load: () => import('../invite-ls.ts'),
  },
  {
    name: 'invite revoke',
    summary: 'withdraw an invite; whoever has taken it stays a member',
    positional: { name: '<federation> <invite>', required: true, max: 2 },
    options: api,
    examples: ['consilium invite revoke cardio inv_01KQ7'],
    load: () => import('../invite-revoke.ts'),
  },
  {
    name: 'members ls',
    summary: 'list the members of a federation',
    positional: { name: '<federation>', required: true },
    options: api,
    examples: ['consilium members ls cardio', 'consilium members ls cardio --json'],
    load: () => import('../members-ls.ts'),
  },
  {
    name: 'members add',
    summary: 'make a node a member without an invite, or say whose it is',
    positional: { name: '<federation> <node>', required: true, max: 2 },
    options: [...api, operator],
    examples: ['consilium members add cardio z6Mk… --operator st-elsewhere'],
    load: () => import('../members-add.ts'),
  },
  {
    name: 'members rm',
    summary: 'let a node be no member any more: it is invited to no further round',
    positional: { name: '<federation> <node>', required: true, max: 2 },
    options: api,
    examples: ['consilium members rm cardio z6Mk…'],
    load: () => import('../members-rm.ts'),
  },
  {
    name: 'datasets ls',
    summary: 'list what nodes publish of their data: names and kinds, and a power of two below the rows',
    options: api,
    examples: ['consilium datasets ls', 'consilium datasets ls --json'],
    load: () => import('../datasets-ls.ts'),
  },
]
