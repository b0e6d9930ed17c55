import type { Command } from '../command.ts'

/** What tells about the others. */
export const HELP: readonly Command[] = [
  {
    name: 'help',
    summary: 'explain a command or a topic',
    positional: { name: '[command or topic]', required: false, max: 2 },
    options: [],
    examples: ['consilium help verify', 'consilium help exit-codes'],
    prints: 'help',
    load: () => import('../help.ts'),
  },
  {
    name: 'version',
    summary: 'print the version',
    options: [],
    examples: ['consilium version --json'],
    prints: 'version',
    load: () => import('../version.ts'),
  },
]
