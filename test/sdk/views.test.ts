import { expect, test } from '@jest/globals'
import type { z } from 'zod'
import type { federationView, inviteView, memberView } from '#coordinator/api/federation-schemas.ts'
import type { apiKeyView, whoamiView } from '#coordinator/api/keys.ts'
import type { payoutView } from '#coordinator/api/payouts.ts'
import type * as schemas from '#coordinator/api/schemas.ts'
import type * as views from '#sdk/views.ts'

/** Fails to compile where the two are not the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
/** Written out to the last member, so that two ways to say one shape are one. */
type Plain<T> = T extends object ? { -readonly [K in keyof T]: Plain<T[K]> } : T

type Held<Told, View extends z.ZodType> = Same<Plain<Told>, Plain<z.output<View>>>

const held: [
  Held<views.RunView, typeof schemas.runView>,
  Held<views.RoundView, typeof schemas.roundView>,
  Held<views.SeatView, typeof schemas.seatView>,
  Held<views.FileView, typeof schemas.fileView>,
  Held<views.ApiKeyView, typeof apiKeyView>,
  Held<views.WhoamiView, typeof whoamiView>,
  Held<views.ReceiptView, typeof payoutView>,
  Held<views.FederationView, typeof federationView>,
  Held<views.MemberView, typeof memberView>,
  Held<views.InviteView, typeof inviteView>,
] = [true, true, true, true, true, true, true, true, true, true]

test('what the SDK says that the API answers is what its validators say', () => {
  expect(held).not.toContain(false)
})
