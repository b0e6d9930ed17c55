import { describe, expect, test } from '@jest/globals'
import { parseArguments } from '#cli/arguments.ts'
import type { Command } from '#cli/command.ts'
import { COMMANDS } from '#cli/commands.ts'
import type { Failure } from '#cli/failure.ts'
import { nearest } from '#protocol/nearest.ts'

function commandCalled(name: string): Command {
  const command = COMMANDS.find((other) => other.name === name)
  if (!command) throw new Error(`no command ${name}`)
  return command
}

function refusal(name: string, rest: readonly string[]): Failure {
  try {
    parseArguments(commandCalled(name), rest, {})
  } catch (cause) {
    return cause as Failure
  }
  throw new Error('it was accepted')
}

describe('a value comes from', () => {
  const runsLs = (rest: readonly string[], environment = {}) =>
    parseArguments(commandCalled('runs ls'), rest, environment)

  test('the flag, before the environment', () => {
    const args = runsLs(['--coordinator', 'http://flag'], { CONSILIUM_COORDINATOR: 'http://environment' })
    expect(args.text('coordinator')).toBe('http://flag')
  })

  test('the environment, before the default', () => {
    expect(runsLs([], { CONSILIUM_COORDINATOR: 'http://environment' }).text('coordinator')).toBe('http://environment')
  })

  test('the default, when the variable is empty too', () => {
    expect(runsLs([], { CONSILIUM_COORDINATOR: '' }).text('coordinator')).toBe('http://127.0.0.1:7410')
    expect(runsLs([]).text('state')).toBeUndefined()
  })

  test('the last of two flags', () => {
    expect(runsLs(['--limit=1', '--limit', '2']).integer('limit', { min: 1, max: 9 })).toBe(2)
  })

  test('every flag, for a command that asks for all of them', () => {
    expect(runsLs(['--key=a', '--limit', '1', '--key', 'b']).texts('key')).toEqual(['a', 'b'])
    expect(runsLs([], { CONSILIUM_API_KEY: 'c' }).texts('key')).toEqual([])
  })
})

describe('what is written wrongly is exit 2 and says how to write it', () => {
  test.each([
    ['coordinator up', ['--prot', '1'], 'unknown_flag', /did you mean --port\?/],
    ['coordinator up', ['--alow', 'x'], 'unknown_flag', /did you mean --allow\?/],
    ['demo', ['--zzzzzz'], 'unknown_flag', /consilium demo --help/],
    ['demo', ['--seed'], 'missing_value', /--seed <text>/],
    ['demo', ['--seed', '--chaos'], 'missing_value', /--seed <text>/],
    ['demo', ['--chaos=yes'], 'unexpected_value', /--chaos alone/],
    ['demo', ['extra'], 'unexpected_argument', /--help/],
    ['runs show', [], 'missing_argument', /--help/],
    ['runs show', ['run_1', 'run_2'], 'unexpected_argument', /--help/],
  ] as const)('%s %j', (name, rest, code, fix) => {
    const failure = refusal(name, rest)
    expect(failure).toMatchObject({ exit: 2, code })
    expect(failure.fix).toMatch(fix)
  })

  test.each(['0', '10', '1.5', '-1', '1e0', '', 'many'])('a number out of its range or shape: %j', (text) => {
    const args = parseArguments(commandCalled('runs ls'), [`--limit=${text}`], {})
    expect(() => args.integer('limit', { min: 1, max: 9 })).toThrow(/whole number from 1 to 9/)
  })

  test('a word that is none of the choices', () => {
    const args = parseArguments(commandCalled('node up'), ['--backend', 'wsam'], {})
    expect(() => args.oneOf('backend', ['auto', 'wasm', 'cpu'])).toThrow(/auto or wasm or cpu/)
  })
})

test('a hidden flag works and is never suggested', () => {
  expect(parseArguments(commandCalled('node up'), ['--tethered'], {}).flag('tethered')).toBe(true)
  expect(refusal('node up', ['--tetherd']).fix).not.toMatch(/tethered/)
})

describe('the nearest name', () => {
  const names = ['demo', 'coordinator up', 'node up', 'node id', 'runs ls', 'verify']
  test.each([
    ['demmo', 'demo'],
    ['edmo', 'demo'],
    ['verfiy', 'verify'],
    ['coordinator-up', 'coordinator up'],
    ['coord', 'coordinator up'],
    ['runs sl', 'runs ls'],
    ['xyzzy', undefined],
    ['', undefined],
  ])('to %j is %j', (typed, expected) => {
    expect(nearest(typed, names)).toBe(expected)
  })
})
