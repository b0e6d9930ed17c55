import { expect, test } from '@jest/globals'
import { Absences } from '#cli/absences.ts'
import { showForecast } from '#cli/check.ts'
import { EXIT, Failure, failureLines } from '#cli/failure.ts'
import { outputTo } from '#cli/output.ts'
import { Declined } from '#cli/site-rules.ts'
import { failureOf } from '#cli/thrown.ts'
import { DRY_RUN } from '#coordinator/api/examples.ts'
import type { DryRunView } from '#sdk/views/dry-run.ts'

const quiet = { write: () => undefined }
const output = outputTo({ out: quiet, err: quiet }, {}, { json: true, quiet: true })

/** What check says where these sites are linked, each with the rule by which it takes no seat, if any. */
function checked(needed: number, rules: readonly (string | null)[]): Failure | undefined {
  const sites = rules.map((rule, at) => ({
    ...{ node: `z6Mk${at}`, operator: at === 0 ? 'st-elsewhere' : null, linked: true },
    ...{ accepts: rule === null, rule, detail: rule && 'at least 5 reports' },
  }))
  const population = { linked: rules.length, willing: 0, needed }
  try {
    showForecast({ ...(DRY_RUN as DryRunView), ok: true, errors: [], sites, population }, output)
    return undefined
  } catch (cause) {
    return failureOf(cause)
  }
}

test('a run that sites refuse by their policies is exit 6, with each rule, whose it is, and what to change', () => {
  const denied = checked(3, ['cohort-too-small', null, 'masking-required'])
  expect(denied).toBeInstanceOf(Failure)
  expect(failureLines(denied as Failure)).toEqual([
    'error  policy_denied  2 sites refuse this: 3 are needed, 1 may come  (exit 6)',
    '  rule     cohort-too-small (at least 5 reports), of st-elsewhere',
    '  rule     masking-required (at least 5 reports), of z6Mk2',
    '  fix      raise cohort.quorum; of a question --min-cohort; ask for "masking": "secagg/1"; or ask whose rule it is',
  ])
})

test('too few sites, or sites whose data do not fit, are exit 7; and a refusal that leaves enough is none', () => {
  expect(checked(3, ['masking-required', null])).toMatchObject({ exit: EXIT.runFailed, code: 'too_few_sites' })
  expect(checked(2, ['no-columns', null])).toMatchObject({ exit: EXIT.runFailed })
  // Without the policy there would not be enough either.
  expect(checked(3, ['no-columns', 'masking-required', null])).toMatchObject({ exit: EXIT.runFailed })
  expect(checked(2, ['masking-required', null, null])).toBeUndefined()
})

test('what came to nothing for want of sites is told from what their policies prevented, by its latest round', () => {
  const declined = new Declined()
  const follow = (type: string, more: object) => declined.follow({ type, run: 'run_1', seq: 0, time: '', ...more })
  const refuse = (node: string, reason: string) => follow('node.declined', { node, reason })
  follow('round.opened', { invited: 3 })
  refuse('z6Mk1', 'questions-not-taken')
  refuse('z6Mk2', 'cells-too-small')
  expect(declined.denied(2)).toMatchObject({
    exit: EXIT.policyDenied,
    lines: [['rule', expect.any(String)], expect.anything()],
  })
  expect(declined.denied(4)).toBeUndefined()
  follow('round.opened', { invited: 3 })
  refuse('z6Mk1', 'busy')
  refuse('z6Mk2', 'paused')
  expect(declined.denied(2)).toBeUndefined()
})

test('whoever watches a run that is paused is told why sites were not in its last round, and what that means', () => {
  const absences = new Absences()
  const event = { run: 'run_1', seq: 0, time: '' }
  const decline = (node: string, reason: string) => absences.follow({ ...event, type: 'node.declined', node, reason })
  decline('a', 'link-lost')
  absences.follow({ ...event, type: 'round.opened' })
  decline('a', 'given-start-not-allowed')
  const seats = ['data-contract', 'battery', 'data-contract', 'round-ended', null].map((reason) => ({ reason }))
  expect(absences.lines(seats).map(([label, text]) => `${label}  ${text}`)).toEqual([
    'away  2 sites: data-contract, the data is not as the task asks, and the terminal of the site says in what',
    'away  1 site: given-start-not-allowed, start from a seed, without --weights and --from',
    'away  1 site: battery',
  ])
})
