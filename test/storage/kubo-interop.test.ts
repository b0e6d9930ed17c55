import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { describe, expect, test } from '@jest/globals'
import { collect, equalBytes, once } from '#protocol/bytes.ts'
import { codecOf, DAG_PB } from '#protocol/cid.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BlobCorrupt, BlobMissing } from '#protocol/ports.ts'
import { openKuboBlobs } from '#storage/blobs/kubo.ts'
import { openKuboRpc } from '#storage/blobs/kubo-rpc.ts'
import { openRemoteBlobs } from '#storage/blobs/remote.ts'
import { blocksOf } from '#test/conformance/blobs.ts'
import { contentOf, inPieces } from '#test/content.ts'
import { type KuboDaemon, kuboForTests } from '#test/kubo.ts'
import { recordRun } from '#test/verify/fixture.ts'
import { fileOf } from '#verify/bundle.ts'
import { verifyBundle } from '#verify/verify.ts'

const MIB = 2 ** 20
const daemon = await kuboForTests('that Kubo and we read each other’s files and bundles')
if (daemon) interop(daemon)

function interop(daemon: KuboDaemon): void {
  const openBlobs = () =>
    openKuboBlobs({ rpc: openKuboRpc({ url: daemon.rpcUrl }), space: 'interop', quotaBytes: 2 ** 30 })
  const blobs = openBlobs()
  const whole = (store: typeof blobs, cid: Cid) => collect(store.get(cid, { limitBytes: 64 * MIB }), 64 * MIB)
  const expectSame = (left: Bytes, right: Bytes) => expect(equalBytes(left, right)).toBe(true)
  const say = (...args: readonly string[]) => String(daemon.ipfs(args)).trim()

  describe('a Kubo daemon and we', () => {
    test.each([0, 1, MIB, MIB + 1, 5 * MIB + 7])(
      'name a file of %i bytes alike, whoever adds it, and read it',
      async (size) => {
        const [ours, theirs] = [contentOf(`ours ${size}`, size), contentOf(`theirs ${size}`, size)]
        const cid = await blobs.put(inPieces(ours, 70_000), size)
        expectSame(daemon.ipfs(['cat', cid]), ours)
        expect(String(daemon.ipfs(['add', '--only-hash', '-Q'], ours)).trim()).toBe(cid)
        const added = String(daemon.ipfs(['add', '-Q'], theirs)).trim() as Cid
        expect(added).toBe((await blocksOf(theirs)).at(-1)?.cid)
        expectSame(await whole(blobs, added), theirs)
      },
    )

    test('carry a run’s record both ways: the same bundle to the byte, and it verifies', async () => {
      const run = await recordRun({ planned: 2, nodes: 3 })
      const bundle = await run.file()
      expect(say('dag', 'import', '--stats', await written(daemon, bundle))).toContain(run.root)
      const back = daemon.ipfs(['dag', 'export', '--progress=false', run.root])
      expectSame(back, bundle)
      expect(await verifyBundle(fileOf(back))).toMatchObject({ ok: true, root: run.root })
    })

    test('agree on what a gateway says: a file comes block by block, verified', async () => {
      const bytes = contentOf('by the gateway', 3 * MIB + 1)
      const cid = await blobs.put(once(bytes), bytes.length)
      const gateway = openRemoteBlobs({ url: daemon.gatewayUrl, attempts: 1 })
      expectSame(await collect(gateway.get(cid, { limitBytes: bytes.length }), bytes.length), bytes)
    })

    test('agree on what the collector may take: nothing that is held, and all that is not', async () => {
      const [kept, gone] = [contentOf('kept', 2 * MIB + 3), contentOf('gone', 2 * MIB + 4)]
      const [cid, other] = [await blobs.put(once(kept), kept.length), await blobs.put(once(gone), gone.length)]
      const cached = say('block', 'put', await written(daemon, contentOf('cached', 100))) as Cid
      await blobs.delete(other)
      say('repo', 'gc')
      expectSame(await whole(blobs, cid), kept)
      await expect(blobs.getBlock(cached, MIB)).rejects.toThrow(BlobMissing)
      // Whoever pins the same file and lets it go again takes nothing with him.
      say('pin', 'add', cid)
      say('pin', 'rm', cid)
      say('repo', 'gc')
      expect(await blobs.has(cid)).toBe(true)
    })

    test('read off the list of pins what is held for whom', async () => {
      const bytes = contentOf('told', 2 * MIB + 5)
      const cid = await blobs.put(once(bytes), bytes.length)
      const holds = say('pin', 'ls', '--type=recursive', '--quiet')
        .split('\n')
        .filter((pin) => pin.startsWith('bafyqa'))
      const told = holds.map((hold) => JSON.parse(say('dag', 'get', hold)))
      expect(told).toContainEqual(['consilium', 'interop', 'file', expect.anything(), { '/': cid }])
    })

    test('a block that its disk has damaged never comes out; dropped by its own check, it is mended by putting it again', async () => {
      const bytes = contentOf('rots', 2 * MIB + 6)
      const cid = await blobs.put(once(bytes), bytes.length)
      const leaf = (await blocksOf(bytes)).find((block) => codecOf(block.cid) !== DAG_PB)?.cid as Cid
      await writeFile(daemon.fileOf(leaf), contentOf('rotten', MIB))
      await expect(whole(blobs, cid)).rejects.toThrow(BlobCorrupt)
      say('repo', 'verify', '--drop')
      expect(await blobs.has(cid)).toBe(false)
      await blobs.put(once(bytes), bytes.length)
      expectSame(await whole(openBlobs(), cid), bytes)
    })

    test('what was put is there after the daemon was killed', async () => {
      const bytes = contentOf('survives', 2 * MIB + 7)
      const cid = await blobs.put(once(bytes), bytes.length)
      await daemon.kill()
      await expect(blobs.has(cid)).rejects.toThrow('the Kubo daemon')
      await daemon.start()
      expect(await blobs.has(cid)).toBe(true)
      expectSame(await whole(blobs, cid), bytes)
    })

    if (process.platform === 'linux')
      test('are alone: the daemon listens on loopback and has no other connection', () => {
        const ends = socketsOf(daemon.pid())
        expect(ends.length).toBeGreaterThan(2)
        expect(
          ends.filter(({ local, remote }) => !isLoopback(local) || !(isLoopback(remote) || isNobody(remote))),
        ).toEqual([])
        expect(say('swarm', 'peers')).toBe('')
        expect(say('bootstrap', 'list')).toBe('')
      })
  })
}

let files = 0
async function written(daemon: KuboDaemon, bytes: Bytes): Promise<string> {
  const path = `${daemon.repo}/given-${files++}`
  await writeFile(path, bytes)
  return path
}

type Ends = { readonly local: string; readonly remote: string }

/** The Internet sockets of a process, by the kernel: addresses in hexadecimal. */
function socketsOf(pid: number): readonly Ends[] {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).map((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1]
      } catch {
        return undefined
      }
    }),
  )
  return ['tcp', 'tcp6', 'udp', 'udp6'].flatMap((kind) =>
    readFileSync(`/proc/${pid}/net/${kind}`, 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[9] !== undefined && inodes.has(fields[9]))
      .map(([, local = '', remote = '']) => ({ local, remote })),
  )
}

const isLoopback = (end: string) =>
  /^(0100007F|00000000000000000000000001000000|0000000000000000FFFF00000100007F):/.test(end)
const isNobody = (end: string) => /^0+:0000$/.test(end)
