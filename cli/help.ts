import { nearest } from '#protocol/nearest.ts'
import { COMMON, usage } from './arguments.ts'
import type { Call, Command, Option } from './command.ts'
import { COMMANDS } from './commands.ts'
import { EXIT } from './failure.ts'

/** `consilium help [command or topic]` */
export async function execute({ args, output }: Call): Promise<number> {
  const asked = args.positionals.join(' ')
  const command = COMMANDS.find(({ name }) => name === asked)
  const group = COMMANDS.filter(({ name }) => name.split(' ')[0] === asked)
  const topic = TOPICS.find(({ name }) => name === asked)
  if (output.json)
    output.object({ commands: (command ? [command] : group.length > 0 ? group : COMMANDS).map(commandData) })
  else if (command) output.line(commandHelp(command))
  else if (topic) output.line(`${topic.name} - ${topic.summary}\n\n${topic.text}`)
  else if (asked === '' || group.length > 0) output.line(overview(asked === '' ? COMMANDS : group))
  else {
    const close = nearest(
      asked,
      [...COMMANDS, ...TOPICS].map(({ name }) => name),
    )
    throw usage(
      'unknown_topic',
      `there is no help on ${asked}`,
      close ? `did you mean consilium help ${close}?` : 'consilium help',
    )
  }
  return EXIT.ok
}

export function overview(commands: readonly Command[]): string {
  return [
    'consilium - federated learning over decentralised nodes: rounds that cannot hang, models anyone can recompute,',
    'exact pay for verified work',
    '',
    ...columns(commands.map(({ name, summary }) => [`consilium ${name}`, summary])),
    '',
    ...columns([
      ['consilium <command> --help', 'its options and examples'],
      ...TOPICS.map(({ name, summary }): readonly [string, string] => [`consilium help ${name}`, summary]),
    ]),
  ].join('\n')
}

export function commandHelp(command: Command): string {
  const { name, summary, positional, options, examples } = command
  const shown = [...options, ...COMMON].filter(({ hidden }) => !hidden)
  return [
    `consilium ${name}${positional ? ` ${positional.name}` : ''} [options]`,
    '',
    summary,
    '',
    ...columns(shown.map((option) => [flagOf(option), meaningOf(option)])),
    '',
    ...examples.map((example) => `  $ ${example}`),
  ].join('\n')
}

/** As it is typed. */
export function flagOf({ name, short, value, bare }: Option): string {
  const given = value === undefined ? '' : bare ? `[=${value}]` : ` ${value}`
  return `${short ? `-${short}, ` : ''}--${name}${given}`
}

function meaningOf({ summary, env, default: value }: Option): string {
  const notes = [env, value === undefined ? undefined : `default ${value}`].filter((note) => note !== undefined)
  return notes.length > 0 ? `${summary} (${notes.join(', ')})` : summary
}

function commandData({ name, summary, positional, options, prints }: Command): object {
  const shown = [...options, ...COMMON].filter(({ hidden }) => !hidden)
  return {
    name,
    summary,
    positional: positional?.name ?? null,
    options: shown.map(({ hidden: _, ...option }) => option),
    schema: prints === 'as-it-comes' ? null : `docs/schemas/cli/${schemaFile(name)}`,
  }
}

/** Of what a command prints with --json. */
export function schemaFile(command: string): string {
  return `${command.replaceAll(' ', '-')}.json`
}

function columns(rows: readonly (readonly [string, string])[]): readonly string[] {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`)
}

/** As a table of two columns, for people. */
export const EXIT_CODES = [
  '  0  done                          7  the run failed',
  '  1  unexpected; two differ        8  verification failed',
  '  2  wrong use of the command      9  the budget does not suffice',
  '  3  no or wrong API key          10  the network; the same again may work',
  '  4  not found                    11  the data is not as it must be',
  '  5  conflict                     12  another version than is needed',
  '  6  a policy does not allow it',
  ' 13  the run is paused: it waits  14  the run was stopped by its owner',
  '130  interrupted (Ctrl-C)        143  terminated (SIGTERM); what has drained ends with 0',
].join('\n')

const TOPICS = [
  {
    name: 'exit-codes',
    summary: 'what a command ends with',
    text: EXIT_CODES,
  },
  {
    name: 'environment',
    summary: 'variables that are read',
    text: [
      'A flag wins over its variable, the variable over the file of settings, that over the default; consilium config path',
      '--explain tells which of them it was.',
      '',
      '  CONSILIUM_HOME             state folder of a coordinator or a node (--state)',
      '  CONSILIUM_COORDINATOR      URL of the coordinator',
      '  CONSILIUM_COORDINATOR_KEY  its key, to pin (--coordinator-key; --coordinator of verify)',
      '  CONSILIUM_REDIS            URL of the Redis that several coordinators share (--redis)',
      '  CONSILIUM_API_KEY          API key; else that of consilium login, else the file <state>/api-key is read',
      '  CONSILIUM_PROFILE          which of the coordinators that you logged in to (--profile)',
      '  CONSILIUM_WEBHOOK_SECRET   what webhooks listen signs with (--secret)',
      '  XDG_CONFIG_HOME            the file of settings is consilium/config.json under it; else under ~/.config',
      '  XDG_CACHE_HOME             what completion remembers for five minutes; else ~/.cache',
      '  XDG_STATE_HOME             the state folder is consilium under it; else under ~/.local/state',
      '  NO_COLOR, FORCE_COLOR, TERM=dumb, CI   colour, and lines that are drawn over',
    ].join('\n'),
  },
  {
    name: 'output',
    summary: 'what is written where',
    text: [
      'Data goes to stdout; progress and errors go to stderr. On a terminal a long command draws one block over itself;',
      'elsewhere it writes a line per round. With --json a command writes one object, and a stream writes one a line:',
      'flat, snake_case, times in RFC 3339, durations in *_ms, money as decimal texts of micro-credits. --json=id,data.round',
      'writes these fields alone, null where there is none; whatever else is wanted of it jq does: consilium runs ls --json |',
      "jq -r '.data[].id'. JSON Schemas of all of it are in docs/schemas/cli, a file for each command; an error is one line on",
      'stderr, as problem.json has it.',
    ].join('\n'),
  },
] as const
