import { join } from 'node:path'
import { openFileBlobs } from '#storage/blobs/files.ts'

/** Where the coordinator keeps blocks. */
export type Stores = {
  /** Anyone may read it. */
  readonly blobs: PublicStore
  /** Boxes and shares, which nobody may read. */
  readonly vault: LocalStore
  /** Masked vectors of which only the hash is public: their members read them. */
  readonly withheld: LocalStore
}
type LocalStore = Awaited<ReturnType<typeof openFileBlobs>>
type PublicStore = LocalStore

export type StoresConfig = {
  /** Folder of everything that is kept. */
  readonly state: string
  /** Disk that each of them may take. */
  readonly quotaBytes: number
  /** Whether other processes of this machine have the folder open as well. */
  readonly shared: boolean
}

export async function openStores(
  { state, quotaBytes, shared }: StoresConfig,
  doors: AsyncDisposableStack,
): Promise<Stores> {
  const store = async (name: string) =>
    doors.use(await openFileBlobs({ folder: join(state, name), quotaBytes, shared }))
  return { blobs: await store('blobs'), vault: await store('vault'), withheld: await store('withheld') }
}
