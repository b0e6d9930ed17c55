import { parseArgs } from 'node:util'
import { nearest } from '#protocol/nearest.ts'
import type { Command, Option } from './command.ts'
import { EXIT, Failure } from './failure.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Where a value is from. The one order of them: a flag, a variable, the file of settings, what is built in. */
export type Origin = 'flag' | 'environment' | 'config' | 'default' | 'none'
export type Given = { readonly value: string | undefined; readonly origin: Origin }

/** What a person keeps under a name in their own file of settings. */
export type Profile = {
  readonly name: string
  readonly file: string
  readonly settings: Readonly<Record<string, string>>
}

/** What a command was given. */
export class Arguments {
  readonly command: Command
  readonly positionals: readonly string[]
  readonly environment: Environment
  /** None for commands that no setting concerns. */
  readonly profile: Profile | undefined
  readonly #values: ReadonlyMap<string, readonly (string | true)[]>

  constructor(
    command: Command,
    values: ReadonlyMap<string, readonly (string | true)[]>,
    positionals: readonly string[],
    environment: Environment,
    profile?: Profile,
  ) {
    this.profile = profile
    this.command = command
    this.#values = values
    this.positionals = positionals
    this.environment = environment
  }

  under(profile: Profile): Arguments {
    return new Arguments(this.command, this.#values, this.positionals, this.environment, profile)
  }

  /** Given without a value. */
  flag(name: string): boolean {
    return this.#values.get(name)?.at(-1) === true
  }

  /** Given, with a value or without. */
  has(name: string): boolean {
    return this.#values.has(name)
  }

  /** Every value of a flag that may be given again and again, in order. */
  texts(name: string): readonly string[] {
    return this.#values.get(name)?.filter((value) => typeof value === 'string') ?? []
  }

  /** The last of them, where a flag is given twice. */
  text(name: string): string | undefined {
    return this.given(name).value
  }

  given(name: string): Given {
    const flag = this.texts(name).at(-1)
    if (flag !== undefined) return { value: flag, origin: 'flag' }
    const option = [...this.command.options, ...COMMON].find((other) => other.name === name)
    const variable = option?.env && this.environment[option.env]
    if (variable) return { value: variable, origin: 'environment' }
    const kept = option?.setting && this.profile?.settings[option.setting]
    if (kept) return { value: kept, origin: 'config' }
    return option?.default === undefined
      ? { value: undefined, origin: 'none' }
      : { value: option.default, origin: 'default' }
  }

  /** @param why what a person needs to know to choose a value */
  required(name: string, why: string): string {
    const value = this.text(name)
    if (value !== undefined) return value
    throw usage('missing_flag', `${this.command.name} needs --${name}`, why)
  }

  oneOf<T extends string>(name: string, choices: readonly T[], why?: string): T {
    const value = why === undefined ? this.text(name) : this.required(name, why)
    const found = choices.find((choice) => choice === value)
    if (found !== undefined) return found
    const close = nearest(value ?? '', choices)
    throw usage('bad_value', `--${name} is ${choices.join(' or ')}, not ${value}`, close && `did you mean ${close}?`)
  }

  integer(name: string, { min, max }: { readonly min: number; readonly max: number }): number {
    const text = this.text(name) ?? ''
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= min && value <= max) return value
    throw usage('bad_value', `--${name} is a whole number from ${min} to ${max}, not ${text || 'nothing'}`)
  }
}

/** Options that every command takes. */
export const COMMON: readonly Option[] = [
  {
    name: 'json',
    value: '<field,field>',
    bare: true,
    summary: 'write JSON to stdout, one object or one a line: all of it, or only these fields, as data.id',
  },
  { name: 'quiet', short: 'q', summary: 'say nothing on stderr but errors' },
  { name: 'verbose', short: 'v', summary: 'say more of each thing, such as when it was' },
  {
    name: 'color',
    value: '<when>',
    default: 'auto',
    summary: 'auto: as the terminal and NO_COLOR say; always or never',
  },
  { name: 'no-input', summary: 'ask nothing: what needs an answer fails' },
  { name: 'yes', summary: 'do what would be asked about' },
  { name: 'help', short: 'h', summary: 'show this' },
]

/** Throws {@link Failure} with a suggestion. @param rest what follows the command's name */
export function parseArguments(command: Command, rest: readonly string[], environment: Environment): Arguments {
  const options = [...command.options, ...COMMON]
  const { tokens } = parseArgs({
    args: [...rest],
    options: Object.fromEntries(
      options.map(({ name, value, bare, short }) => [
        name,
        { type: value === undefined || bare ? 'boolean' : 'string', ...(short ? { short } : {}) } as const,
      ]),
    ),
    strict: false,
    tokens: true,
    allowPositionals: true,
  })
  const values = new Map<string, (string | true)[]>()
  const positionals: string[] = []
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value)
    if (token.kind !== 'option') continue
    const value = optionValue(token, command, options)
    values.set(token.name, [...(values.get(token.name) ?? []), value])
  }
  const room = command.positional ? (command.positional.max ?? 1) : 0
  if (positionals.length > room) {
    const fields = rest[rest.indexOf('--json') + 1]
    const fix = rest.includes('--json') && positionals.includes(fields ?? '') ? `--json=${fields}` : seeHelp(command)
    throw usage('unexpected_argument', `${command.name} does not take ${positionals[room]}`, fix)
  }
  if (command.positional?.required && positionals.length === 0 && !values.has('help'))
    throw usage('missing_argument', `${command.name} needs ${command.positional.name}`, seeHelp(command))
  return new Arguments(command, values, positionals, environment)
}

type OptionToken = {
  readonly name: string
  readonly rawName: string
  readonly value?: string | undefined
  readonly inlineValue?: boolean | undefined
}

function optionValue(token: OptionToken, command: Command, options: readonly Option[]): string | true {
  const option = options.find(({ name }) => name === token.name)
  if (!option) {
    const names = options.filter(({ hidden }) => !hidden).map(({ name }) => `--${name}`)
    const close = nearest(token.rawName, names)
    const help = seeHelp(command)
    throw usage(
      'unknown_flag',
      `${command.name} has no ${token.rawName}`,
      close ? `did you mean ${close}? ${help}` : help,
    )
  }
  if (option.bare && token.value === undefined) return true
  if (option.value === undefined) {
    if (token.value === undefined) return true
    throw usage('unexpected_value', `${token.rawName} takes no value`, `write ${token.rawName} alone`)
  }
  const taken = token.value === undefined || (token.inlineValue !== true && /^-./.test(token.value))
  if (!taken) return token.value as string
  throw usage('missing_value', `${token.rawName} needs a value`, `${token.rawName} ${option.value}`)
}

function seeHelp(command: Command): string {
  return `consilium ${command.name} --help lists what it takes`
}

export function usage(code: string, what: string, fix?: string, lines?: Failure['lines']): Failure {
  return new Failure(EXIT.usage, code, what, { fix, ...(lines && { lines }) })
}

/** The second of two positional arguments. */
export function secondOf({ command, positionals }: Arguments): string {
  const second = positionals[1]
  if (second !== undefined) return second
  throw usage('missing_argument', `${command.name} needs ${command.positional?.name}`)
}
