import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from '@jest/globals'

const folder = mkdtempSync(join(tmpdir(), 'consilium-ci-'))
const tool = join(import.meta.dirname, '../tools/ci.mjs')
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function file(name: string, text: string): string {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}

function ci(...args: readonly string[]): { readonly code: number | null; readonly out: string } {
  const { status, stdout } = spawnSync(process.execPath, [tool, ...args], { encoding: 'utf8' })
  return { code: status, out: stdout.trim() }
}

const counts = (passed: number, failed: number, skipped: number, suites = 0): string =>
  JSON.stringify({
    numPassedTests: passed,
    numFailedTests: failed,
    numPendingTests: skipped,
    numTodoTests: 0,
    numRuntimeErrorTestSuites: suites,
  })

describe('the last line of CI', () => {
  const good = file('good.json', counts(3, 0, 1))

  test('sums what was counted', () => {
    const more = file('more.json', counts(4, 0, 0))
    expect(ci('summary', good, more)).toEqual({ code: 0, out: 'consilium: 7 passed, 0 failed, 1 skipped' })
  })

  test.each([
    ['a failed test', file('failed.json', counts(3, 1, 0))],
    ['a suite that could not run', file('broken.json', counts(3, 0, 0, 1))],
    ['a result that was never written', join(folder, 'missing.json')],
  ])('fails on %s', (_name, path) => {
    expect(ci('summary', good, path)).toMatchObject({ code: 1, out: expect.stringContaining(' 1 failed') })
  })

  test('fails where nothing ran at all', () => {
    expect(ci('summary', file('empty.json', counts(0, 0, 0))).code).toBe(1)
  })
})

describe('the demo’s judge', () => {
  const bundle = file('bundle.car', '')
  const last = {
    type: 'run.completed',
    rounds: 8,
    accuracy: 0.97,
    model: 'bafy',
    bundle,
    verify: { ok: true, model: 'bafy' },
    ledger: { budget: '10', paid: '7', released: '3' },
  }
  const judged = (change: object) => {
    const lines = [{ type: 'round.closed' }, { ...last, ...change }].map((line) => JSON.stringify(line))
    return ci('demo', file('demo.ndjson', `${lines.join('\n')}\n`), '0.96')
  }

  test('accepts a run that is good enough, verified and paid in full, and names its bundle', () => {
    expect(judged({})).toEqual({ code: 0, out: bundle })
  })

  test.each([
    ['another last event', { type: 'run.failed' }],
    ['an accuracy below the bar', { accuracy: 0.959 }],
    ['no accuracy', { accuracy: null }],
    ['a verification that failed', { verify: { ok: false, model: 'bafy' } }],
    ['a verification of another model', { verify: { ok: true, model: 'bafk' } }],
    ['money that does not add up', { ledger: { budget: '10', paid: '7', released: '4' } }],
    ['a bundle that is not there', { bundle: join(folder, 'gone.car') }],
  ])('refuses %s', (_name, change) => {
    expect(judged(change).code).toBe(1)
  })
})
