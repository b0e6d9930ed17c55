import type { GatewayLimits } from '#storage/blobs/gateway.ts'

const places = { total: 64, each: 64 }

/** Limits of a gateway that nobody meets in a test about something else. */
export const ROOMY: GatewayLimits = {
  ...{ idleMillis: 10_000, leastBytesPerSecond: 1, pressedBytesPerSecond: 1 },
  ...{ uploads: places, downloads: places, cacheBytes: 0 },
}
