import { parseNodeId, parseRunId } from '#protocol/ids.ts'
import type { BundleFile } from '#verify/bundle.ts'
import type { Verdict } from '#verify/verdict.ts'
import { type VerifyOptions, type VerifyProgress, verifyAny, verifyFile } from '#verify/verify.ts'

/** The thread that redoes a record: it has no network, and the page stays awake meanwhile. */
export type ToVerifier = {
  readonly file: Blob
  readonly coordinator: string
  /** That it was fetched as the record of; empty where it is a file of somebody's. */
  readonly run: string
}
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

function verify({ file, coordinator, run }: ToVerifier): Promise<Found> {
  const [key, asked] = [parseNodeId(coordinator), parseRunId(run)]
  if (coordinator && !key.ok) throw new TypeError(`a coordinator's key is z6Mk…, not ${coordinator}`)
  if (run && !asked.ok) throw new TypeError(`a run goes by run_01K…, and not by ${run}`)
  const options: VerifyOptions = {
    ...(key.ok && { coordinator: key.value }),
    ...(asked.ok && { asked: { run: asked.value } }),
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
