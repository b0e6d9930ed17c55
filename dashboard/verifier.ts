import { parseCid } from '#protocol/cid.ts'
import { parseNodeId } from '#protocol/ids.ts'
import type { BundleFile } from '#verify/bundle.ts'
import type { Verdict } from '#verify/verdict.ts'
import { type VerifyOptions, type VerifyProgress, verifyAny, verifyFile } from '#verify/verify.ts'

/** The thread that redoes a record: it has no network, and the page stays awake meanwhile. */
export type ToVerifier = { readonly file: Blob; readonly coordinator: string; readonly expect: string }
export type FromVerifier =
  | { readonly kind: 'step'; readonly at: VerifyProgress }
  | { readonly kind: 'verdict'; readonly verdict: Found }
  | { readonly kind: 'broken'; readonly detail: string }
export type Found = Awaited<ReturnType<typeof verifyAny>> | Verdict

const say = (said: FromVerifier): void => postMessage(said)

addEventListener('message', ({ data }: MessageEvent<ToVerifier>) => {
  verify(data).then(
    (verdict) => say({ kind: 'verdict', verdict }),
    (cause: unknown) => say({ kind: 'broken', detail: cause instanceof Error ? cause.message : String(cause) }),
  )
})

function verify({ file, coordinator, expect }: ToVerifier): Promise<Found> {
  const [key, cid] = [parseNodeId(coordinator), parseCid(expect)]
  if (coordinator && !key.ok) throw new TypeError(`a coordinator's key is z6Mk…, not ${coordinator}`)
  if (expect && !cid.ok) throw new TypeError(`what is expected is a CID, not ${expect}`)
  const options: VerifyOptions = {
    ...(key.ok && { coordinator: key.value }),
    ...(cid.ok && { expect: cid.value }),
    allowExpired: true,
    progress: (at) => say({ kind: 'step', at }),
  }
  return verifyFile(bundleFile(file), options, verifyAny)
}

/** Read piece by piece: a record may be larger than memory. */
function bundleFile(file: Blob): BundleFile {
  return {
    sizeBytes: file.size,
    read: async (offset, length) => new Uint8Array(await file.slice(offset, offset + length).arrayBuffer()),
  }
}
