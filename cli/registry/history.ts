import { api, type Command } from '../command.ts'

/** What happened in runs, and what happens. */
export const HISTORY: readonly Command[] = [
  {
    name: 'runs compare',
    summary: 'show runs side by side: metrics by round, the best, bytes, time, and what differs in their tasks',
    positional: { name: '<run> <run> …', required: true, max: 20 },
    options: [...api, { name: 'csv', summary: 'a line for each round of each run instead' }],
    examples: [
      'consilium runs compare run_01KQ7 run_01KQ8',
      'consilium runs compare run_01KQ7 run_01KQ8 --csv > runs.csv',
    ],
    prints: 'compared',
    load: () => import('../runs-compare.ts'),
  },
  {
    name: 'runs logs',
    summary: 'show what happened in a run, event by event',
    positional: { name: '<run>', required: true },
    options: [
      ...api,
      {
        name: 'site',
        value: '<node or operator>',
        summary: 'only what a node did: its id, the start of it, or its operator',
      },
      { name: 'type', value: '<type>', summary: 'only such events, round.* for all that start so; again for more' },
      { name: 'since', value: '<time or duration>', summary: 'only later ones: 10m, 2h, 3d, or a time in RFC 3339' },
      { name: 'follow', short: 'f', summary: 'go on with what happens, to the end of the run' },
    ],
    examples: [
      'consilium runs logs run_01KQ7 --type "round.*"',
      'consilium runs logs run_01KQ7 --site z6Mk… --since 10m',
    ],
    prints: 'events',
    load: () => import('../runs-logs.ts'),
  },
  {
    name: 'rounds ls',
    summary: 'list the rounds of a run, the first one first',
    positional: { name: '<run>', required: true },
    options: api,
    examples: ['consilium rounds ls run_01KQ7', 'consilium rounds ls run_01KQ7 --json'],
    prints: 'rounds',
    load: () => import('../rounds-ls.ts'),
  },
  {
    name: 'rounds show',
    summary: 'show one round: what became of every seat, and why',
    positional: { name: '<run> <n>', required: true, max: 2 },
    options: api,
    examples: ['consilium rounds show run_01KQ7 3'],
    prints: 'round',
    load: () => import('../rounds-show.ts'),
  },
  {
    name: 'events tail',
    summary: 'show what happens from now on, in one run or in all',
    positional: { name: '[run]', required: false },
    options: api,
    examples: ['consilium events tail', 'consilium events tail run_01KQ7 --json'],
    prints: 'events',
    load: () => import('../events-tail.ts'),
  },
]
