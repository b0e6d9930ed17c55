import { blobStoreConformance } from '#test/conformance/blobs.ts'
import { partsStoreConformance } from '#test/conformance/parts.ts'
import { FAULTS, quorumOfFaulty } from '#test/storage/faulty.ts'

// What a store promises, every fault in every place: `npm test` has three of these.
for (const fault of FAULTS)
  for (const place of [0, 1, 2]) {
    const opened = () =>
      quorumOfFaulty(['none', 'none', 'none'].with(place, fault) as Parameters<typeof quorumOfFaulty>[0])
    const name = `of three stores, of which number ${place + 1} has this: ${fault}`
    blobStoreConformance(name, opened)
    partsStoreConformance(name, opened)
  }
