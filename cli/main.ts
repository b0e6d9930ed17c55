import { nearest } from '#protocol/nearest.ts'
import { type Arguments, COMMON, parseArguments } from './arguments.ts'
import type { Command } from './command.ts'
import { COMMANDS, commandFirst, commandIn } from './commands.ts'
import { EXIT, Failure, failureLines, failureProblem } from './failure.ts'
import { commandHelp, overview } from './help.ts'
import { COLOURS, jsonLine, type Manner, type Output, outputTo } from './output.ts'
import { plainLines } from './render/width.ts'

/** Where a command line writes to and reads its variables from. */
type Surroundings = Parameters<typeof outputTo>[0] & { readonly environment: NodeJS.ProcessEnv }

/**
 * The command line: finds the command, reads its arguments, runs it, and says what went wrong so that a person or a
 * program can act on it.
 * @returns the exit code
 */
export async function main(argv: readonly string[], around: Surroundings = thisProcess()): Promise<number> {
  if (argv[0] === 'complete')
    return (await import('./completion.ts')).complete(argv.slice(argv.indexOf('--') + 1), around.environment)
  const output = outputTo(around, around.environment, mannerOf(argv))
  try {
    return await dispatch(argv, output, around)
  } catch (cause) {
    // What the SDK throws is known there: nobody who types something wrongly waits for it.
    const failure = cause instanceof Failure ? cause : (await import('./thrown.ts')).failureOf(cause)
    if (output.json) output.err.write(`${jsonLine(failureProblem(failure))}\n`)
    else
      for (const [index, line] of failureLines(failure).entries())
        output.err.write(`${plainLines(index === 0 ? output.err.paint('red', line) : line)}\n`)
    return failure.exit
  }
}

function thisProcess(): Surroundings {
  // Whoever read our output has left (`consilium runs ls | head -1`): there is nobody to tell.
  process.stdout.on('error', (cause: NodeJS.ErrnoException) =>
    process.exit(cause.code === 'EPIPE' ? EXIT.ok : EXIT.unexpected),
  )
  return { out: process.stdout, err: process.stderr, environment: process.env }
}

async function dispatch(given: readonly string[], output: Output, around: Surroundings): Promise<number> {
  const found = commandIn(given)
  if (found) {
    const { command } = found
    const args = parseArguments(command, found.rest, around.environment)
    if (args.flag('help')) {
      output.line(commandHelp(command))
      return EXIT.ok
    }
    args.oneOf('color', COLOURS)
    const fields = args.texts('json').at(-1)
    const wanted = fields === undefined ? output : await ofFields(command, fields, output)
    const { execute } = await command.load()
    const call = { args: hasSettings(command) ? await underProfile(args) : args, output: wanted }
    return args.flag('dry-run') ? unlessUnsent(execute(call), output) : execute(call)
  }
  const argv = commandFirst(given)
  const [first, second] = argv
  const asked = argv.some((word) => word === '--help' || word === '-h')
  if (first === '--version') return dispatch(['version', ...argv.slice(1)], output, around)
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

/** What would have been sent, instead of what would have come of it. */
async function unlessUnsent(work: Promise<number>, output: Output): Promise<number> {
  const { Unsent } = await import('./unsent.ts')
  try {
    return await work
  } catch (cause) {
    if (!(cause instanceof Unsent)) throw cause
    if (output.json) output.object(cause.request)
    else for (const line of cause.lines()) output.line(line)
    return EXIT.ok
  }
}

/** The same output, of whose objects only these fields are written. What they may be is known before anything is done. */
async function ofFields(command: Command, fields: string, output: Output): Promise<Output> {
  const { projection } = await import('./fields.ts')
  const pick = projection(command, fields)
  return { ...output, object: (value) => output.object(pick(value)) }
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

/** How everything is said, errors in the arguments themselves among it. */
function mannerOf(argv: readonly string[]): Manner {
  const end = argv.indexOf('--')
  const words = end < 0 ? argv : argv.slice(0, end)
  const given = (flag: string) => words.includes(flag)
  const colour = words.findLast((word, at) => word.startsWith('--color=') || words[at - 1] === '--color')
  return {
    json: words.some((word) => word === '--json' || word.startsWith('--json=')),
    quiet: given('--quiet') || given('-q'),
    verbose: given('--verbose') || given('-v'),
    colour: COLOURS.find((known) => colour?.replace('--color=', '') === known),
  }
}
