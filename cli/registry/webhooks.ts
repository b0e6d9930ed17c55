import { api, type Command, change, idempotencyKey } from '../command.ts'

const positional = { name: '<endpoint>', required: true } as const

/** Who else is told of what happens. */
export const WEBHOOKS: readonly Command[] = [
  {
    name: 'webhooks ls',
    summary: 'list the addresses that are told of events, the oldest first',
    options: api,
    examples: ['consilium webhooks ls', 'consilium webhooks ls --json'],
    prints: 'endpoints',
    load: () => import('../webhooks-ls.ts'),
  },
  {
    name: 'webhooks create',
    summary: 'tell an address of events; what they are signed with is shown once',
    positional: { name: '<url>', required: true },
    options: [
      ...change,
      { name: 'event', value: '<type>', summary: 'of which events, run.* for all that start so; again for more' },
      { name: 'description', value: '<text>', summary: 'whose address it is' },
      idempotencyKey,
    ],
    examples: ['consilium webhooks create https://hooks.example.org/consilium --event round.completed --event "run.*"'],
    prints: 'made-endpoint',
    load: () => import('../webhooks-create.ts'),
  },
  {
    name: 'webhooks rotate',
    summary: 'make another secret, which is shown once; for a time messages are signed by the old one as well',
    positional,
    options: [
      ...change,
      {
        name: 'overlap',
        value: '<seconds>',
        default: '86400',
        summary: 'how long the old secret signs as well; 0 where it has leaked',
      },
      idempotencyKey,
    ],
    examples: [
      'consilium webhooks rotate we_01KQ7Z8Y9X0W1V2T3S4R5Q6P7N',
      'consilium webhooks rotate we_01KQ7Z8Y9X0W1V2T3S4R5Q6P7N --overlap 0',
    ],
    prints: 'made-endpoint',
    load: () => import('../webhooks-rotate.ts'),
  },
  {
    name: 'webhooks rm',
    summary: 'tell an address nothing more',
    positional,
    options: change,
    examples: ['consilium webhooks rm we_01KQ7Z8Y9X0W1V2T3S4R5Q6P7N'],
    prints: 'endpoint-removed',
    load: () => import('../webhooks-rm.ts'),
  },
  {
    name: 'webhooks test',
    summary: 'send a message about nothing, now',
    positional,
    options: change,
    examples: ['consilium webhooks test we_01KQ7Z8Y9X0W1V2T3S4R5Q6P7N'],
    prints: 'delivery',
    load: () => import('../webhooks-test.ts'),
  },
  {
    name: 'webhooks deliveries',
    summary: 'list the latest tries, the newest first',
    positional,
    options: api,
    examples: ['consilium webhooks deliveries we_01KQ7Z8Y9X0W1V2T3S4R5Q6P7N'],
    prints: 'deliveries',
    load: () => import('../webhooks-deliveries.ts'),
  },
  {
    name: 'webhooks listen',
    summary: 'send what happens from now on to a receiver on this machine, as webhooks, and tell what became of each',
    options: [
      ...api,
      { name: 'forward', value: '<url>', summary: 'where the receiver is' },
      {
        name: 'event',
        value: '<type>',
        summary:
          'of which events, run.* for all that start so, * for all; again for more; else round.completed and run.*',
      },
      {
        name: 'secret',
        value: '<file>',
        summary: 'file of the secret to sign with; else CONSILIUM_WEBHOOK_SECRET, else a new one, shown once',
      },
      { name: 'any-host', summary: 'also to a receiver that is not on this machine' },
    ],
    examples: [
      'consilium webhooks listen --forward http://localhost:3000/hook',
      "consilium webhooks listen --forward http://localhost:3000/hook --event '*' --json",
    ],
    prints: 'listened',
    load: () => import('../webhooks-listen.ts'),
  },
]
