import type { Command } from '../command.ts'

/** Where a task begins. */
export const TASKS: readonly Command[] = [
  {
    name: 'create',
    summary: 'make a folder with a task to start from: it trains here at once, and at a coordinator as it is',
    positional: { name: '<folder>', required: true },
    options: [
      {
        name: 'template',
        value: '<name>',
        default: 'digits',
        summary: 'digits (images), tabular (a table of patients) or text (notes)',
      },
    ],
    examples: ['consilium create my-study', 'consilium create my-study --template tabular'],
    prints: 'created',
    load: () => import('../create.ts'),
  },
]
