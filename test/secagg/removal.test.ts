import { removeMasks } from '#aggregation/secagg/removal.ts'
import { maskRemovalConformance } from '#test/conformance/mask-removal.ts'

maskRemovalConformance('on the caller’s own thread', removeMasks)
