import { api, type Command, change } from '../command.ts'

/** What a coordinator knows of its nodes, and which of them it invites. */
export const NODES: readonly Command[] = [
  {
    name: 'nodes ls',
    summary: 'list nodes: what each trains on, how fast it says it is, what checking that came to, and who is drained',
    options: [
      ...api,
      { name: 'all', summary: 'also those that are away and have said what they can do, or are drained' },
    ],
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
  {
    name: 'nodes drain',
    summary: 'invite a node to no new round until it is resumed; what it has begun it finishes',
    positional: { name: '<node>', required: true },
    options: change,
    examples: ['consilium nodes drain z6Mk…'],
    prints: 'node-invited',
    load: () => import('../nodes-drain.ts'),
  },
  {
    name: 'nodes resume',
    summary: 'invite a drained node again, to rounds that open from now on',
    positional: { name: '<node>', required: true },
    options: change,
    examples: ['consilium nodes resume z6Mk…'],
    prints: 'node-invited',
    load: () => import('../nodes-resume.ts'),
  },
]
