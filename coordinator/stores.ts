import { join } from 'node:path'
import type { PartsStore } from '#protocol/ports.ts'
import { openFileBlobs } from '#storage/blobs/files.ts'
import { openKuboBlobs } from '#storage/blobs/kubo.ts'
import { type KuboNetwork, type Unmet, unmetBy } from '#storage/blobs/kubo-profile.ts'
import type { KuboRpc } from '#storage/blobs/kubo-rpc.ts'
import { quorumBlobs } from '#storage/blobs/quorum.ts'

/** Where the coordinator keeps blocks. */
export type Stores = {
  /** Anyone may read it. */
  readonly blobs: PartsStore
  /** Boxes and shares, which nobody may read. */
  readonly vault: PartsStore
  /** Masked vectors of which only the hash is public: their members read them. */
  readonly withheld: PartsStore
}

export type StoresConfig = {
  /** Folder of everything that is kept. */
  readonly state: string
  /** Disk that each of them may take. */
  readonly quotaBytes: number
  /** Whether other processes of this machine have the folder open as well. */
  readonly shared: boolean
  /** Where there is one, the public store is a Kubo daemon. */
  readonly kubo?: KuboConfig | undefined
  /** Hears of what one of several public stores did not do. */
  readonly report: (cause: unknown) => void
}

export type KuboConfig = DaemonConfig & {
  readonly network: KuboNetwork
  /** The public blocks are in the folder and in these daemons as well: durable in so many of all of them. */
  readonly spread?: { readonly others: readonly string[]; readonly quorum: number } | undefined
  /** Another daemon, which must be private: what is not public goes there, and else to the folder. */
  readonly apart?: DaemonConfig | undefined
}
type DaemonConfig = { readonly url: string; readonly authorization?: string | undefined }

export async function openStores(config: StoresConfig, doors: AsyncDisposableStack): Promise<Stores> {
  const { state, quotaBytes, shared, kubo } = config
  const folder = async (name: string) =>
    doors.use(await openFileBlobs({ folder: join(state, name), quotaBytes, shared }))
  if (!kubo) return { blobs: await folder('blobs'), vault: await folder('vault'), withheld: await folder('withheld') }
  const { network, authorization, spread } = kubo
  const open = await Promise.all(
    [kubo.url, ...(spread?.others ?? [])].map((url) => openDaemon({ url, authorization }, network)),
  )
  const ids = new Set(open.map(({ id }) => id))
  if (ids.size < open.length) throw new Error('a copy in the same daemon is none: --kubo names one twice')
  const daemons = open.map(({ rpc }) => openKuboBlobs({ rpc, space: 'blobs', quotaBytes }))
  const blobs = spread
    ? doors.use(
        quorumBlobs({ stores: [await folder('blobs'), ...daemons], quorum: spread.quorum, report: config.report }),
      )
    : (daemons[0] as PartsStore)
  if (!kubo.apart) return { blobs, vault: await folder('vault'), withheld: await folder('withheld') }
  const apart = await openDaemon(kubo.apart, 'private')
  // Whoever reads the one by a CID would read the other.
  if (ids.has(apart.id)) throw new Error('what is not public needs a daemon of its own: --kubo-private names the same')
  const [rpc, hidden] = [apart.rpc, 'vault']
  return {
    blobs,
    vault: openKuboBlobs({ rpc, space: hidden, quotaBytes }),
    withheld: openKuboBlobs({ rpc, space: 'withheld', quotaBytes, hidden }),
  }
}

/** Throws {@link KuboNotAsPromised}: a daemon that others read is no place for what was promised to be private. */
async function openDaemon(
  { url, authorization }: DaemonConfig,
  network: KuboNetwork,
): Promise<{ readonly rpc: KuboRpc; readonly id: string }> {
  // Its client is a third of what a coordinator would load, and most have no daemon.
  const { openKuboRpc } = await import('#storage/blobs/kubo-rpc.ts')
  const rpc = openKuboRpc({ url, authorization })
  const state = await rpc.state()
  const unmet = unmetBy(state, network)
  if (unmet.length > 0) throw new KuboNotAsPromised(url, network, unmet)
  return { rpc, id: state.id }
}

export class KuboNotAsPromised extends Error {
  override name = 'KuboNotAsPromised'
  readonly unmet: readonly Unmet[]
  constructor(url: string, network: KuboNetwork, unmet: readonly Unmet[]) {
    super(`the Kubo daemon at ${url} is not fit to be ${network}: ${unmet.map(({ what }) => what).join('; ')}`)
    this.unmet = unmet
  }
}
