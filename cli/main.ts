import { type Arguments, COMMON, parseArguments } from './arguments.ts'
import type { Command } from './command.ts'
import { COMMANDS } from './commands.ts'
import { EXIT, Failure, failureLines, failureOf, failureProblem } from './failure.ts'
import { commandHelp, overview } from './help.ts'
import { nearest } from './nearest.ts'
import { type Output, outputTo } from './output.ts'

/**
 * The command line: finds the command, reads its arguments, runs it, and says what went wrong so that a person or a
 * program can act on it.
 * @returns the exit code
 */
export async function main(argv: readonly string[]): Promise<number> {
  const streams = { out: process.stdout, err: process.stderr }
  // Whoever read our output has left (`consilium runs ls | head -1`): there is nobody to tell.
  process.stdout.on('error', (cause: NodeJS.ErrnoException) =>
    process.exit(cause.code === 'EPIPE' ? EXIT.ok : EXIT.unexpected),
  )
  const given = (flag: string) => beforeSeparator(argv).includes(flag)
  if (argv[0] === 'complete')
    return (await import('./completion.ts')).complete(argv.slice(argv.indexOf('--') + 1), process.env)
  const output = outputTo(streams, process.env, {
    json: given('--json'),
    quiet: given('--quiet') || given('-q'),
    verbose: given('--verbose') || given('-v'),
  })
  try {
    return await dispatch(argv, output)
  } catch (cause) {
    const failure = failureOf(cause)
    if (output.json) output.err.write(`${JSON.stringify(failureProblem(failure))}\n`)
    else
      for (const [index, line] of failureLines(failure).entries())
        output.err.write(`${index === 0 ? output.err.paint('red', line) : line}\n`)
    return failure.exit
  }
}

async function dispatch(given: readonly string[], output: Output): Promise<number> {
  const argv = commandFirst(given)
  const found = find(argv)
  if (found) {
    const args = parseArguments(found.command, found.rest, process.env)
    if (args.flag('help')) {
      output.line(commandHelp(found.command))
      return EXIT.ok
    }
    const { execute } = await found.command.load()
    return execute({ args: hasSettings(found.command) ? await underProfile(args) : args, output })
  }
  const [first, second] = argv
  const asked = argv.some((word) => word === '--help' || word === '-h')
  if (first === '--version') return dispatch(['version', ...argv.slice(1)], output)
  const group = COMMANDS.filter(({ name }) => name.split(' ')[0] === first)
  if (first === undefined || (asked && first.startsWith('-')) || (group.length > 0 && asked)) {
    output.line(overview(group.length > 0 ? group : COMMANDS))
    return EXIT.ok
  }
  throw unknown(first, second, group)
}

function hasSettings({ options }: Command): boolean {
  return options.some(({ name }) => name === 'profile')
}

/** What a file says is read where a command asks for it, and not for `--help`. */
async function underProfile(args: Arguments): Promise<Arguments> {
  const { readProfile } = await import('./profile.ts')
  return args.under(readProfile(args))
}

function find(argv: readonly string[]): { readonly command: Command; readonly rest: readonly string[] } | undefined {
  for (const words of [2, 1]) {
    const name = argv.slice(0, words).join(' ')
    const command = argv.length >= words && COMMANDS.find((other) => other.name === name)
    if (command) return { command, rest: argv.slice(words) }
  }
  return undefined
}

function unknown(first: string, second: string | undefined, group: readonly Command[]): Failure {
  if (first.startsWith('-')) {
    const close = nearest(first, [...COMMON.map(({ name }) => `--${name}`), '--version'])
    const fix = close ? `did you mean consilium ${close}?` : 'consilium --help lists the commands'
    return new Failure(EXIT.usage, 'unknown_flag', `consilium has no ${first}`, { fix })
  }
  const said = second === undefined || second.startsWith('-') ? first : `${first} ${second}`
  const names = COMMANDS.map(({ name }) => name)
  const close =
    nearest(said, names) ??
    nearest(first, names) ??
    nearest(first, [...new Set(names.map((name) => name.split(' ')[0] as string))])
  if (group.length > 0 && said === first) {
    const fix = group.map(({ name }) => `consilium ${name}`).join(', ')
    return new Failure(EXIT.usage, 'missing_verb', `${first} needs a verb`, { fix })
  }
  const fix = close ? `did you mean consilium ${close}?` : 'consilium --help lists the commands'
  return new Failure(EXIT.usage, 'unknown_command', `there is no command ${said}`, { fix })
}

/** `consilium --json runs ls` is `consilium runs ls --json`. */
function commandFirst(argv: readonly string[]): readonly string[] {
  const first = argv.findIndex((word) => !GLOBAL.has(word))
  return first > 0 ? [...argv.slice(first), ...argv.slice(0, first)] : argv
}

const GLOBAL = new Set(
  COMMON.filter(({ name }) => name !== 'help').flatMap(({ name, short }) => [
    `--${name}`,
    ...(short ? [`-${short}`] : []),
  ]),
)

function beforeSeparator(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf('--')
  return end < 0 ? argv : argv.slice(0, end)
}
