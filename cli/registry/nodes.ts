import { api, type Command } from '../command.ts'

/** What a coordinator knows of its nodes. */
export const NODES: readonly Command[] = [
  {
    name: 'nodes ls',
    summary: 'list nodes: what each trains on, how fast it says it is, and what checking that came to',
    options: [...api, { name: 'all', summary: 'also those that are away and have said what they can do' }],
    examples: ['consilium nodes ls', 'consilium nodes ls --all --json'],
    prints: 'nodes',
    load: () => import('../nodes-ls.ts'),
  },
  {
    name: 'nodes show',
    summary: 'show one node: its claims, the checks of them, and how long it trained by its clock and by ours',
    positional: { name: '<node>', required: true },
    options: api,
    examples: ['consilium nodes show z6Mk…', 'consilium nodes show z6Mk… --json'],
    prints: 'node',
    load: () => import('../nodes-show.ts'),
  },
]
