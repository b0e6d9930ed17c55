import type { Amount } from './ids.ts'

/** In credits, all six decimals, since money is exact. */
export function formatCredits(amount: Amount): string {
  return `${amount / 1_000_000n}.${(amount % 1_000_000n).toString().padStart(6, '0')}`
}
