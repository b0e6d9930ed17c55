import { api, type Command, change, idempotencyKey } from '../command.ts'

/** Who may do what at a coordinator, and who did. */
export const ACCESS: readonly Command[] = [
  {
    name: 'whoami',
    summary: 'show the key that is in use, and what it is for',
    options: api,
    examples: ['consilium whoami', 'consilium whoami --json'],
    prints: 'who',
    load: () => import('../whoami.ts'),
  },
  {
    name: 'keys ls',
    summary: 'list API keys, the newest first, also those that are no longer good',
    options: api,
    examples: ['consilium keys ls', 'consilium keys ls --json'],
    prints: 'keys',
    load: () => import('../keys-ls.ts'),
  },
  {
    name: 'keys create',
    summary: 'make an API key; it is written to stdout, once',
    options: [
      ...change,
      { name: 'name', value: '<text>', summary: 'who or what has it' },
      { name: 'scopes', value: '<a,b>', summary: 'what it is for: runs:read,runs:write, …; docs/api.md has them all' },
      { name: 'federation', value: '<fed_…>', summary: 'the only federation that exists for it' },
      { name: 'expires', value: '<time>', summary: 'when it is good no more: 2027-01-31, or RFC 3339' },
      idempotencyKey,
    ],
    examples: ['consilium keys create --name nightly --scopes runs:read,runs:write > nightly.key'],
    prints: 'made-key',
    load: () => import('../keys-create.ts'),
  },
  {
    name: 'keys revoke',
    summary: 'make an API key good no more, and sign out the browsers that signed in with it',
    positional: { name: '<key_…>', required: true },
    options: change,
    examples: ['consilium keys revoke key_01KQ7ZT2B4C6D8E0F1G2H3J4K5'],
    prints: 'key',
    load: () => import('../keys-revoke.ts'),
  },
  {
    name: 'audit ls',
    summary: 'list what was changed through the API, and what keys were refused, the newest first',
    options: [...api, { name: 'limit', value: '<n>', default: '50', summary: 'how many' }],
    examples: ['consilium audit ls', 'consilium audit ls --limit 200 --json'],
    prints: 'audited',
    load: () => import('../audit-ls.ts'),
  },
  {
    name: 'audit verify',
    summary: 'check that no entry of the audit log was changed, left out or put in, and show its head to be noted',
    options: [
      ...api,
      { name: 'head', value: '<seq:hash>', summary: 'as it was printed once: all up to that one are what they were' },
    ],
    examples: ['consilium audit verify', `consilium audit verify --head 41:${'7c'.repeat(32)}`],
    prints: 'audit-verified',
    load: () => import('../audit-verify.ts'),
  },
]
