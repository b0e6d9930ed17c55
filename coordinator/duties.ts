import type { PartsStore } from '#protocol/ports.ts'
import { type ExpiryDoors, expiry } from './expiry.ts'
import type { Duty } from './keeper.ts'
import { type Notifier, notifying } from './notifier.ts'
import { type PinnerDoors, pinning } from './pinner.ts'
import { type Provider, type PublisherDoors, publishing } from './publisher.ts'
import { vectorsUntil } from './retention.ts'
import { ShortBundles } from './short-bundles.ts'
import { type SpotCheckRule, type SpotChecks, spotChecking } from './spot-checks.ts'
import { sweeping } from './sweeping.ts'

/** Of a pin: as many as a service takes. */
const ORIGINS_MAX = 20

export type DutiesDoors = ExpiryDoors &
  PinnerDoors &
  Pick<PublisherDoors, 'publications' | 'publishHospitals' | 'failed'> & {
    readonly blobs: PartsStore
    readonly withheld: PartsStore
    readonly vault: PartsStore
    readonly notifier: Notifier
    readonly providers: readonly Provider[]
    /** Where our libp2p peer can be reached, where there is one. */
    readonly addresses: () => readonly string[]
    readonly spotChecks: { readonly checks: SpotChecks; readonly rule: SpotCheckRule } | undefined
  }

/** All that this process looks after. */
export function dutiesOf(doors: DutiesDoors): readonly Duty[] {
  const { blobs, withheld, vault, clock, runner, retention, publications, spotChecks } = doors
  const bundles = new ShortBundles({ blobs, publications })
  const publisher: PublisherDoors = {
    ...{ publications, clock, failed: doors.failed, publishHospitals: doors.publishHospitals },
    runs: () => runner.runs(),
    vectorsUntil: (run) => vectorsUntil(run, retention),
    bundleOf: (run) => bundles.of(run),
    origins: () => doors.addresses().slice(0, ORIGINS_MAX),
    // Nobody is dialled because a provider names him.
    connect: async () => undefined,
  }
  return [
    sweeping([blobs, withheld, vault], clock),
    expiry(doors),
    pinning(doors),
    notifying(doors.notifier),
    ...doors.providers.map((provider) => publishing(provider, publisher)),
    ...(spotChecks ? [spotChecking(spotChecks.checks, spotChecks.rule)] : []),
  ]
}
