import { describe, expect, test } from '@jest/globals'
import { obligations } from '#coordinator/obligations.ts'
import { nextDeadline, type Run } from '#coordinator/run.ts'
import { SESSION_MEMBERS_MAX } from '#protocol/limits.ts'
import { cid, type Happening, happens, maskedSpecOf } from './fixture.ts'
import { accepted, lapse, moveOn, play, refusalOf, speeches, stageOf, stamp, started, until } from './histories.ts'

const masked = (n: number, corrupt = 1, change = {}) =>
  started(maskedSpecOf(n, corrupt, { failuresMax: 20, ...change }))
const seatsBut = (n: number, ...gone: readonly number[]) =>
  Array.from({ length: n }, (_, seat) => seat).filter((seat) => !gone.includes(seat))
const each = (seats: readonly number[], happening: (seat: number) => Happening) => seats.map(happening)
/** What became of the first round. */
const endOf = (run: Run) => (run.past[0]?.manifest ? 'closed' : run.past[0]?.reason)
/** Time passes until the first round is over; the coordinator goes on doing its work. */
function playOut(run: Run): Run {
  let state = run
  while (state.past.length === 0) state = moveOn(state)
  return state
}

describe('a masked round', () => {
  test('shares keys, collects, confirms, unmasks and sums, each in its turn', () => {
    let run = masked(4)
    const seen = []
    for (const stage of [
      ...['selection', 'enrolling', 'dealing', 'sharing', 'agreeing', 'reporting', 'consistency', 'confirming'],
      ...['unmasking', 'aggregation', 'settlement', undefined],
    ]) {
      run = until(run, stage)
      seen.push(
        obligations(run)
          .map(({ kind }) => kind)
          .join(),
      )
    }
    expect(seen).toEqual(['', 'enrol', '', 'share', '', '', 'survey', '', '', 'aggregate', 'settle', 'open'])
    expect(endOf(run)).toBe('closed')
    expect(run.endings).toEqual([])
  })

  test('collects figures in the evaluation phase, as a plain one does', () => {
    let run = masked(3, 1, { planned: 1 })
    run = until(until(run, 'settlement'), 'selection')
    expect(run.round?.purpose).toBe('evaluate')
    expect(stageOf(until(run, 'evaluation'))).toBe('evaluation')
  })

  test('takes nobody without a key advert, and the last one of whoever joins again', () => {
    const run = until(masked(4), 'selection')
    expect(refusalOf(run, happens.join(0))).toBe('advert-missing')
    const again = play(run, happens.join(0, cid('first')), happens.leave(0), happens.join(0, cid('second')))
    const seated = until(again, 'enrolling').round
    expect(seated?.phase === 'keys' && seated.session.adverts[0]).toBe(cid('second'))
  })

  test('with fewer nodes than C allows, or more than a session holds, comes to nothing and says so', () => {
    const few = until(masked(3, 2), 'selection')
    expect(endOf(play(few, ...each([0, 1, 2], (seat) => happens.join(seat, cid('advert')))))).toBe('too-few-members')
    const n = SESSION_MEMBERS_MAX + 1
    const many = until(masked(n), 'selection')
    expect(endOf(play(many, ...each(seatsBut(n), (seat) => happens.join(seat, cid('advert')))))).toBe(
      'too-many-members',
    )
  })

  test('has the session that its cohort can hold, and the four times at which its parts are due', () => {
    const { round } = until(masked(10, 3), 'dealing')
    if (round?.phase !== 'keys') throw new Error('no keys')
    expect(round.session.rule).toEqual({ C: 3, q: 7, t: 6, live: 6 })
    expect(round.session.deadlines).toEqual([100, 1200, 1300, 1400])
  })
})

describe('whoever speaks out of turn', () => {
  const n = 5
  const strangers = (run: Run, happening: (seat: number) => Happening) => refusalOf(run, happening(n))

  test('is refused by name, and a second time too', () => {
    const dealing = until(masked(n), 'dealing')
    expect(refusalOf(dealing, happens.agree(0))).toBe('wrong-phase')
    expect(refusalOf(dealing, happens.share())).toBe('wrong-phase')
    expect(refusalOf(dealing, happens.enrol())).toBe('said-already')
    expect(refusalOf(play(dealing, happens.deal(0)), happens.deal(0))).toBe('said-already')
    expect(strangers(dealing, happens.deal)).toBe('not-in-cohort')

    const agreeing = until(play(dealing, happens.deal(0), happens.leave(0)), 'agreeing')
    expect(refusalOf(agreeing, happens.deal(1))).toBe('wrong-phase')
    expect(refusalOf(agreeing, happens.agree(0))).toBe('not-a-member')
    expect(refusalOf(play(agreeing, happens.agree(1)), happens.object(1))).toBe('said-already')
    expect(refusalOf(play(until(masked(n), 'agreeing'), happens.leave(4)), happens.object(4))).toBe('seat-gone')
    expect(strangers(agreeing, happens.object)).toBe('not-in-cohort')

    const reporting = until(agreeing, 'reporting')
    expect(refusalOf(reporting, happens.report(0))).toBe('seat-gone')
    expect(strangers(reporting, happens.report)).toBe('not-in-cohort')

    const surveying = until(reporting, 'consistency')
    expect(refusalOf(surveying, happens.confirm(1))).toBe('wrong-phase')
    expect(refusalOf(surveying, happens.certify())).toBe('wrong-phase')
    const confirming = until(surveying, 'confirming')
    expect(refusalOf(confirming, happens.survey())).toBe('said-already')
    expect(refusalOf(confirming, happens.confirm(0))).toBe('not-a-survivor')
    expect(refusalOf(confirming, happens.certify())).toBe('wrong-phase')
    expect(strangers(confirming, happens.confirm)).toBe('not-in-cohort')

    const unmasking = until(confirming, 'unmasking')
    expect(refusalOf(unmasking, happens.unmask(0))).toBe('not-a-survivor')
    expect(refusalOf(unmasking, happens.certify())).toBe('wrong-phase')
    expect(refusalOf(play(unmasking, happens.unmask(1)), happens.unmask(1))).toBe('said-already')
    expect(refusalOf(unmasking, happens.abandon(1))).toBe('wrong-phase')
    expect(strangers(unmasking, happens.unmask)).toBe('not-in-cohort')
  })
})

describe('a member that is lost', () => {
  test('while U2 is being signed is in it, as signed, or out of it, as signed', () => {
    const sharing = play(until(masked(5), 'sharing'), happens.leave(4))
    for (const out of [[], [4]]) {
      const shared = play(sharing, happens.share(out))
      if (shared.round?.phase !== 'keys') throw new Error('no keys')
      expect(shared.round.session.shared?.members).toEqual([true, true, true, true, out.length === 0])
      expect(shared.round.seats[4]).toEqual({ gone: 'link-lost' })
      expect(endOf(until(shared, undefined))).toBe('closed')
    }
  })

  test('before its keys were dealt, or while it was asked about them, ends the round as soon as too few are left', () => {
    for (const stage of ['dealing', 'agreeing']) {
      const run = play(until(masked(5), stage), happens.leave(0))
      expect(stageOf(run)).toBe(stage)
      expect(endOf(play(run, happens.leave(1)))).toBe('too-few-keys')
    }
    const sharing = play(until(masked(5), 'sharing'), happens.leave(0), happens.leave(1))
    expect(endOf(play(sharing, happens.share()))).toBe('too-few-keys')
  })

  test('after its input is not missed where q others confirm; below q the round ends at once', () => {
    const confirming = play(until(masked(5), 'confirming'), happens.leave(0))
    expect(stageOf(until(confirming, 'unmasking'))).toBe('unmasking')
    expect(play(confirming, happens.leave(1)).round).toMatchObject({
      phase: 'abandonment',
      reason: 'too-few-confirmations',
    })
  })

  test('and comes back in time confirms, and is waited for again', () => {
    const gone = play(until(masked(4), 'confirming'), happens.leave(0))
    const back = play(gone, happens.confirm(0), happens.confirm(1), happens.confirm(2), happens.certify())
    const answered = play(back, happens.unmask(1), happens.unmask(2))
    expect(stageOf(answered)).toBe('unmasking')
    expect(stageOf(play(answered, happens.unmask(0)))).toBe('aggregation')
    expect(stageOf(play(answered, happens.leave(0)))).toBe('aggregation')
  })

  test('before it confirmed is not waited for once t have answered', () => {
    const certified = play(until(masked(4), 'confirming'), ...each([0, 1, 2], happens.confirm), happens.certify())
    expect(stageOf(play(certified, ...each([0, 1, 2], happens.unmask)))).toBe('aggregation')
  })

  test('after the certificate may come back as long as its share is needed', () => {
    const certified = until(masked(5), 'unmasking')
    const lost = play(certified, happens.unmask(0), happens.unmask(1), ...each([2, 3, 4], happens.leave))
    expect(stageOf(lost)).toBe('unmasking')
    expect(stageOf(play(lost, happens.unmask(3)))).toBe('aggregation')
    expect(endOf(lapse(lost))).toBe('too-few-shares')
  })
})

describe('a dispute about keys', () => {
  test('is judged once: the second U2 is final, and whoever is out of it has no seat any more', () => {
    const agreeing = until(masked(5), 'agreeing')
    const judging = play(agreeing, happens.object(2), ...each([0, 1, 3, 4], happens.agree))
    expect(obligations(judging)).toEqual([{ kind: 'judge', round: 1 }])
    expect(refusalOf(judging, happens.object(3))).toBe('wrong-phase')
    const { round } = until(judging, 'reporting')
    expect(round?.phase === 'reporting' && round.session?.shared).toMatchObject({ version: 2 })
    expect(round?.phase === 'reporting' && round.seats[2]).toEqual({ gone: 'keys-in-dispute' })
  })

  test('that leaves too few ends the round', () => {
    const judging = play(until(masked(3), 'agreeing'), happens.object(2), happens.agree(0), happens.agree(1))
    expect(endOf(until(judging, 'selection'))).toBe('too-few-keys')
  })

  test('is not waited for longer than agreeing may take', () => {
    const agreeing = play(until(masked(5), 'agreeing'), ...each([0, 1], happens.agree))
    expect(stageOf(lapse(agreeing))).toBe('reporting')
    expect(stageOf(lapse(play(agreeing, happens.object(2))))).toBe('judging')
  })
})

describe('a round whose time is up', () => {
  test.each([
    ['selection', 'too-few-nodes'],
    ['enrolling', 'enrolling-late'],
    ['dealing', 'too-few-keys'],
    ['sharing', 'sharing-late'],
    ['reporting', 'too-few-reports'],
    ['consistency', 'too-few-confirmations'],
    ['confirming', 'too-few-confirmations'],
    ['unmasking', 'too-few-shares'],
    ['aggregation', 'aggregation-late'],
  ])('in %s says %s', (stage, reason) => {
    const late = lapse(until(masked(4), stage))
    expect(endOf(stageOf(late) === 'abandonment' ? lapse(late) : late)).toBe(reason)
  })

  test('while a second U2 is made says judging-late', () => {
    const judging = play(until(masked(4), 'agreeing'), happens.object(0), ...each([1, 2, 3], happens.agree))
    expect(endOf(lapse(judging))).toBe('judging-late')
  })

  test('before an input could be in time says keys-late, and leaves nothing to abandon', () => {
    const agreeing = until(masked(4), 'agreeing')
    const late = accepted(agreeing, stamp(agreeing, happens.tick(), { at: 1200 }))
    expect([endOf(late), late.endings]).toEqual(['keys-late', []])
  })

  test('with q signatures and no certificate says certificate-late, and a certificate after that is not one', () => {
    const confirmed = play(until(masked(4), 'confirming'), ...each([0, 1, 2], happens.confirm))
    expect(obligations(confirmed)).toEqual([{ kind: 'certify', round: 1 }])
    const at = nextDeadline(confirmed) ?? 0
    for (const event of [happens.tick(), happens.certify()]) {
      const late = accepted(confirmed, stamp(confirmed, event, { at }))
      expect(late.round).toMatchObject({
        phase: 'abandonment',
        reason: 'certificate-late',
        session: { certificate: null },
      })
      expect(refusalOf(late, happens.certify())).toBe('wrong-phase')
    }
  })

  test.each([
    ['dealing', 'keys-late'],
    ['sharing', 'sharing-late'],
    ['agreeing', 'keys-late'],
    ['reporting', 'too-few-confirmations'],
    ['confirming', 'certificate-late'],
    ['unmasking', 'closed'],
  ])('by far, because the coordinator slept in %s, begins no phase that is over already: %s', (stage, end) => {
    const asleep = until(masked(4), stage)
    const spoken = play(
      asleep,
      ...speeches(asleep)
        .map(({ says }) => says)
        .slice(1),
    )
    const awake = accepted(spoken, stamp(spoken, happens.tick(), { at: 10_000_000 }))
    expect(nextDeadline(awake) ?? Number.POSITIVE_INFINITY).toBeGreaterThan(awake.at)
    expect(endOf(playOut(awake))).toBe(end)
  })
})
