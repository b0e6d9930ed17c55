import type { MeasuredSpeed } from '#protocol/capability.ts'

/** Samples a second, to as many digits as two measurements agree in. */
export function formatSpeed(milliSamplesPerSecond: number): string {
  const perSecond = milliSamplesPerSecond / 1000
  if (perSecond < 10) return perSecond.toFixed(1)
  return Math.round(perSecond).toLocaleString('en-US')
}

export function speedsText(speeds: readonly Pick<MeasuredSpeed, 'model' | 'milliSamplesPerSecond'>[]): string {
  const each = speeds.map(({ model, milliSamplesPerSecond }) => `${model} ${formatSpeed(milliSamplesPerSecond)}`)
  return each.length > 0 ? `${each.join('  ')}  samples/s` : 'none of the reference models trains here'
}

/** Flat, with units in the names. */
export function speedFields(speeds: readonly MeasuredSpeed[]): readonly object[] {
  return speeds.map(({ model, milliSamplesPerSecond, measuredAt }) => ({
    model,
    milli_samples_per_second: milliSamplesPerSecond,
    measured_at: new Date(measuredAt).toISOString(),
  }))
}
