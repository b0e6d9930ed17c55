import { describe, expect, test } from '@jest/globals'
import type { Assignment } from '#client/assignment.ts'
import { policyFor } from '#client/policy.ts'
import { siteTerms } from '#client/site.ts'
import { BrokenInvariant } from '#protocol/assert.ts'
import type { NodeId } from '#protocol/ids.ts'
import type { Plan, Secure } from '#protocol/plan.ts'
import { cohortOf } from '#test/cohort.ts'

const nodes = (count: number) => new Set(Array.from({ length: count }, (_, index) => `z6Mk${index}` as NodeId))
const secure: Secure = { suite: 1, corrupt: 1, publish: 'commit-only' }
const plan = (change: Partial<Plan>): Assignment => {
  const cohort = cohortOf({ min: 3, max: 10, quorum: 3 })
  return { plan: { population: 'hospital', masking: 'secagg/1', secure, cohort, ...change } } as Assignment
}
const refuses = (refusal: string) => ({ ok: false, refusal })

describe('what a site insists on', () => {
  test('a fifth of the others may be corrupt, and at least one; where strangers may come, one', () => {
    expect(siteTerms('hospital', nodes(5)).maxCorrupt).toBe(1)
    expect(siteTerms('hospital', nodes(21)).maxCorrupt).toBe(4)
    expect(siteTerms('open', 'open').maxCorrupt).toBe(1)
    expect(siteTerms('open', nodes(21), { maxCorrupt: 7 }).maxCorrupt).toBe(7)
  })

  test('a hospital publishes hashes only, and pins who may be in a session with it', () => {
    expect(siteTerms('hospital', nodes(5)).publish).toEqual(['commit-only'])
    expect(siteTerms('open', 'open').publish).toEqual(['full', 'commit-only'])
    expect(() => siteTerms('hospital', 'open')).toThrow(BrokenInvariant)
  })
})

describe('the policy of a hospital', () => {
  const policy = policyFor('hospital', 3, siteTerms('hospital', nodes(11)))

  test('takes a masked plan that bears as many corrupt nodes as it insists on', () => {
    expect(policy(plan({ secure: { ...secure, corrupt: 2 } })).ok).toBe(true)
    expect(policy(plan({ secure: { ...secure, corrupt: 3 } })).ok).toBe(true)
  })

  test.each([
    ['masking-required', { masking: 'none', secure: null }],
    ['foreign-population', { population: 'open' }],
    ['publication-not-allowed', { secure: { ...secure, corrupt: 2, publish: 'full' } }],
    ['too-few-corrupt', { secure }],
    ['cohort-too-small', { secure: { ...secure, corrupt: 2 }, cohort: cohortOf({ min: 2, max: 10, quorum: 2 }) }],
    ['too-few-members', { secure: { ...secure, corrupt: 9 } }],
    ['too-many-members', { secure: { ...secure, corrupt: 2 }, cohort: cohortOf({ min: 3, max: 200, quorum: 3 }) }],
  ] as const)('refuses by name what no roster could make good (%s)', (refusal, change) => {
    expect(policy(plan(change))).toMatchObject(refuses(refusal))
  })
})

test('a hospital trains from weights that somebody gave a run only where it says so, an open node always', () => {
  const rule = { secure: { ...secure, corrupt: 2 } }
  const given = (change: Partial<Plan>) =>
    ({ ...plan(change), kind: 'training', task: { start: 'given' } }) as Assignment
  const hospital = (takesGivenStart?: boolean) => {
    const terms = takesGivenStart === undefined ? {} : { takesGivenStart }
    return policyFor('hospital', 3, siteTerms('hospital', nodes(11), terms))
  }
  expect(hospital()(given(rule))).toMatchObject(refuses('given-start-not-allowed'))
  expect(hospital(true)(given(rule)).ok).toBe(true)
  expect(hospital()({ ...given(rule), task: {} } as Assignment).ok).toBe(true)
  expect(policyFor('open', 2, siteTerms('open', 'open'))(given({ population: 'open', ...rule })).ok).toBe(true)
})

test('an open node takes both kinds of plan', () => {
  const policy = policyFor('open', 2, siteTerms('open', 'open'))
  expect(policy(plan({ population: 'open', masking: 'none', secure: null })).ok).toBe(true)
  expect(policy(plan({ population: 'open', secure: { ...secure, publish: 'full' } })).ok).toBe(true)
})
