import { fromHex } from '#protocol/bytes.ts'
import { fileOf } from '#verify/bundle.ts'
import { verifyBundle } from '#verify/verify.ts'

/** What Node and a page of a browser both say of a bundle: the verdict as text, amounts as decimals. */
export async function verdictOf(bundleHex: string): Promise<string> {
  const verdict = await verifyBundle(fileOf(fromHex(bundleHex)), {})
  return JSON.stringify(verdict, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))
}
