import { api, type Command, change, coordinator, idempotencyKey, key, profile, state } from '../command.ts'

/** Where a person's own commands go, and what is wrong when they do not get there. */
export const SETTINGS: readonly Command[] = [
  {
    name: 'login',
    summary:
      'keep a coordinator and its API key for the commands that follow; the key is asked for, or read from stdin',
    positional: { name: '<url>', required: true },
    options: [profile, { ...key, summary: 'file of the API key, instead of asking' }],
    examples: [
      'consilium login http://127.0.0.1:7410',
      'consilium login https://fl.example.org --profile work < key.txt',
    ],
    prints: 'logged-in',
    load: () => import('../login.ts'),
  },
  {
    name: 'logout',
    summary: 'forget the API key that login kept',
    options: [profile],
    examples: ['consilium logout', 'consilium logout --profile work'],
    prints: 'logged-out',
    load: () => import('../logout.ts'),
  },
  {
    name: 'config get',
    summary: 'print a setting, or all of them',
    positional: { name: '[name]', required: false },
    options: [profile],
    examples: ['consilium config get', 'consilium config get coordinator'],
    prints: 'settings',
    load: () => import('../config-get.ts'),
  },
  {
    name: 'config set',
    summary: 'keep a setting: coordinator, or timeout in seconds; without a value, no more',
    positional: { name: '<name> [value]', required: true, max: 2 },
    options: [profile],
    examples: ['consilium config set coordinator https://fl.example.org', 'consilium config set timeout'],
    prints: 'setting',
    load: () => import('../config-set.ts'),
  },
  {
    name: 'config path',
    summary: 'print where the settings are kept, and with --explain which value wins and why',
    options: [
      ...api,
      { name: 'explain', summary: 'what would be used now, and whether a flag, a variable or the file says so' },
    ],
    examples: ['consilium config path', 'consilium config path --explain'],
    prints: 'settings-path',
    load: () => import('../config-path.ts'),
  },
  {
    name: 'api',
    summary: 'send any request to the API, and print what it answers',
    positional: { name: '<METHOD> </path>', required: true, max: 2 },
    options: [
      ...change,
      {
        name: 'field',
        short: 'f',
        value: '<name=value>',
        summary: 'of the body, or of the query of a GET; again for more; JSON or text',
      },
      { name: 'input', value: '<file>', summary: 'the body as it is; - is stdin' },
      { name: 'content-type', value: '<type>', default: 'application/json', summary: 'of --input' },
      { name: 'stream', summary: 'ask for server-sent events' },
      idempotencyKey,
    ],
    examples: [
      'consilium api GET /v1/runs -f limit=5',
      'consilium api POST /v1/runs --input task.json --idempotency-key mine-1',
      'consilium api GET /v1/events --stream',
    ],
    prints: 'as-it-comes',
    load: () => import('../api.ts'),
  },
  {
    name: 'doctor',
    summary: 'check this machine, the coordinator and the key, and say how to mend what is wrong',
    options: [
      ...api,
      { name: 'redis', value: '<url>', env: 'CONSILIUM_REDIS', summary: 'the Redis that coordinators share' },
      { name: 'kubo', value: '<url>', env: 'CONSILIUM_KUBO', summary: 'RPC of a Kubo daemon' },
    ],
    examples: ['consilium doctor', 'consilium doctor --json'],
    prints: 'diagnosis',
    load: () => import('../doctor.ts'),
  },
  {
    name: 'completion',
    summary: 'print a script that completes commands, options and run ids in a shell',
    positional: { name: '<bash|zsh|fish|powershell>', required: true },
    options: [],
    examples: [
      'source <(consilium completion bash)',
      'consilium completion fish > ~/.config/fish/completions/consilium.fish',
    ],
    prints: 'as-it-comes',
    load: () => import('../completion.ts'),
  },
]

/** What completion itself reads, so that it asks the coordinator that a command would. */
export const COMPLETION: Command = {
  name: 'complete',
  summary: 'answer what could come next',
  options: [coordinator, key, state, profile],
  examples: [],
  prints: 'as-it-comes',
  load: () => import('../completion.ts'),
}
