import { execFile, spawnSync } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from '@jest/globals'
import { temporaryFolder } from '#test/folder.ts'
import { live } from './live.ts'

const path = process.env['IPFS_BIN'] ?? 'ipfs'
const withIpfs = spawnSync(path, ['version']).status === 0 ? test : test.skip
const what = 'Kubo pins at a coordinator, sees what became of it, and lets it go'
if (withIpfs === test.skip)
  process.stderr.write(`skipped: ${what}, since there is no ipfs on the PATH nor in IPFS_BIN\n`)

withIpfs(
  what,
  async () => {
    await using at = await live()
    await using repo = await temporaryFolder()
    const env = { PATH: process.env['PATH'], HOME: repo.path, IPFS_PATH: repo.path, IPFS_TELEMETRY: 'off' }
    /** No daemon: the command line asks the service itself. */
    const ipfs = async (...args: string[]) =>
      (await promisify(execFile)(path, args, { env, timeout: 30_000 })).stdout.trim().split('\n')
    const { task } = (await (await at.launch()).json()) as { task: string }
    const absent = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'

    await ipfs('init', '--profile=test')
    await ipfs('pin', 'remote', 'service', 'add', 'consilium', `${at.coordinator.url}/v1/pinning`, at.key)
    const add = (...args: string[]) => ipfs('--offline', 'pin', 'remote', 'add', '--service=consilium', ...args)
    expect((await add('--background', '--name=absent', absent)).map((line) => line.split(/\s+/)[1])).toContain('queued')
    // Waits until it is pinned.
    expect((await add('--name=present', task)).map((line) => line.split(/\s+/)[1])).toContain('pinned')
    const list = (...args: string[]) => ipfs('pin', 'remote', 'ls', '--service=consilium', ...args)
    expect(await list()).toEqual([`${task}\tpinned\tpresent`])
    expect(await list('--name=absent', '--status=queued')).toEqual([`${absent}\tqueued\tabsent`])
    await ipfs('pin', 'remote', 'rm', '--service=consilium', `--cid=${absent}`, '--status=queued', '--force')
    expect(await list('--status=queued,pinning,pinned,failed')).toEqual([`${task}\tpinned\tpresent`])
  },
  60_000,
)
