import { describe, expect, test } from '@jest/globals'
import { EXIT, Failure, failureLines, failureProblem } from '#cli/failure.ts'
import { outputTo, terminalOf } from '#cli/output.ts'
import { auditLine } from '#cli/render/access.ts'
import { rowOf } from '#cli/render/rounds.ts'
import { failureOf } from '#cli/thrown.ts'

const stream = (isTTY: boolean) => ({ isTTY, columns: 100, write: () => true })

describe('lines are drawn over, and colour is used', () => {
  test.each([
    ['on a terminal', true, {}, true, true],
    ['not in a file or a pipe', false, {}, false, false],
    ['not on a terminal that is dumb', true, { TERM: 'dumb' }, false, false],
    ['not in CI', true, { CI: 'true' }, false, false],
    ['in no CI', true, { CI: 'false' }, true, true],
    ['without colour under NO_COLOR', true, { NO_COLOR: '1' }, true, false],
    ['with colour in a pipe under FORCE_COLOR', false, { FORCE_COLOR: '1' }, false, true],
    ['FORCE_COLOR over NO_COLOR', true, { FORCE_COLOR: '1', NO_COLOR: '1' }, true, true],
    ['without colour under FORCE_COLOR=0', true, { FORCE_COLOR: '0' }, true, false],
  ] as const)('%s', (_what, isTTY, environment, live, colour) => {
    const terminal = terminalOf(stream(isTTY), environment)
    expect(terminal.live).toBe(live)
    expect(terminal.paint('red', 'x') !== 'x').toBe(colour)
  })

  test.each([
    [{ LANG: 'de_CH.UTF-8' }, true],
    [{ LC_ALL: 'C', LANG: 'de_CH.UTF-8' }, false],
    [{}, false],
  ])('letters beyond ASCII under %j: %j', (environment, unicode) => {
    expect(terminalOf(stream(true), environment).unicode).toBe(unicode)
  })
})

describe('what others named', () => {
  const ESC = '\u001b'
  const written: string[] = []
  const out = { write: (text: string) => written.push(text) }
  const output = outputTo({ out, err: out }, { FORCE_COLOR: '1' }, { json: false, quiet: false })
  const said = (say: () => void): string => {
    written.length = 0
    say()
    return written.join('')
  }

  test.each([
    ['clears the screen', `${ESC}[2J${ESC}[H`],
    ['writes to the clipboard', `${ESC}]52;c;cm0gLXJmIH4K${String.fromCharCode(7)}`],
    ['is not closed', `${ESC}]0;title`],
    ['is beyond ASCII', '\u009b2J'],
    ['turns the line around', '\u202egnp.exe'],
    ['goes back over the line', '\rrun_ok\b\b'],
  ])('moves no cursor and tells a terminal nothing where it %s', (_what, text) => {
    for (const line of [said(() => output.line(`a ${text} b`)), said(() => output.note(`a ${text} b`))])
      expect(line.slice(0, -1)).toMatch(/^a [^\p{Cc}\u202e]* b$/u)
    expect(said(() => output.object({ name: text })).slice(0, -1)).not.toMatch(/\p{Cc}/u)
  })

  test('leaves lines and our own colours as they are', () => {
    const text = `${output.out.paint('red', 'error')}  x\ny`
    expect(said(() => output.line(text))).toBe(`${text}\n`)
  })

  test('begins no line of its own in a list', () => {
    const event = { id: 'aud_1', time: 't', actor: { id: 'key_1', name: 'x\n200  root' }, action: 'a', target: null }
    const kept = { federation: null, seq: 0, hash: '', before: null }
    expect(auditLine({ ...event, ...kept, status: 200, request_id: 'r' })).toBe('t  200  x 200  root  a')
    expect(rowOf(['a\nb'], [3])).toBe('a b')
  })
})

test('exit codes are what they are told to be, and stay so', () => {
  expect(EXIT).toEqual({
    ...{
      ok: 0,
      differ: 1,
      unexpected: 1,
      usage: 2,
      denied: 3,
      notFound: 4,
      conflict: 5,
      policyDenied: 6,
      runFailed: 7,
    },
    ...{ unverified: 8, budget: 9, network: 10, data: 11, version: 12, paused: 13, stopped: 14 },
    ...{ interrupted: 130, terminated: 143 },
  })
})

describe('a failure', () => {
  const failure = new Failure(EXIT.conflict, 'run_not_ended', 'the run has not ended', {
    lines: [['request', 'req_1']],
    fix: 'wait for it',
  })

  test('is a block that a person can act on', () => {
    expect(failureLines(failure)).toEqual([
      'error  run_not_ended  the run has not ended  (exit 5)',
      '  request  req_1',
      '  fix      wait for it',
    ])
  })

  test('is an RFC 9457 object for a program, whatever the API said of its own', () => {
    expect(failureProblem(failure)).toEqual({
      ...{ type: 'urn:consilium:problem:run_not_ended', title: 'run not ended', detail: 'the run has not ended' },
      ...{ code: 'run_not_ended', exit: 5, retryable: false, fix: 'wait for it' },
      lines: [{ label: 'request', text: 'req_1' }],
    })
    const answered = new Failure(EXIT.denied, 'unauthorized', 'no key', {
      problem: { status: 401, title: 'A key, please' },
    })
    expect(failureProblem(answered)).toMatchObject({
      status: 401,
      title: 'A key, please',
      code: 'unauthorized',
      exit: 3,
    })
  })

  test('keeps its exit code when it is thrown, and anything else is exit 1', () => {
    expect(failureOf(failure)).toBe(failure)
    expect(failureOf(new Error('broken'))).toMatchObject({ exit: 1, code: 'unexpected', message: 'broken' })
    expect(failureOf('text')).toMatchObject({ exit: 1, message: 'text' })
  })

  test('of a file that is not there is exit 4 and names the file', () => {
    const missing = Object.assign(new Error('ENOENT: …'), { code: 'ENOENT', path: 'nodes.txt' })
    expect(failureOf(missing)).toMatchObject({ exit: 4, message: 'there is no nodes.txt' })
  })
})
