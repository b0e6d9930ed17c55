import { api, type Command } from '../command.ts'

/** What other people's pinning services have of our runs. */
export const PINS: readonly Command[] = [
  {
    name: 'pins ls',
    summary: 'list what is published at pinning services, and which of them have it',
    positional: { name: '<run>', required: false },
    options: api,
    examples: ['consilium pins ls', 'consilium pins ls run_01KQ7 --json'],
    prints: 'publications',
    load: () => import('../pins-ls.ts'),
  },
  {
    name: 'pins check',
    summary: 'ask every pinning service whether it is there and takes our token',
    options: api,
    examples: ['consilium pins check', 'consilium pins check --json'],
    prints: 'providers',
    load: () => import('../pins-check.ts'),
  },
]
