import { spawnSync } from 'node:child_process'
import { dirname } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { authorizationOf } from '#storage/blobs/kubo-authorization.ts'
import { commandsFor, type KuboState, settingsOf, unmetBy } from '#storage/blobs/kubo-profile.ts'
import { consilium } from '#test/cli/command.ts'
import { temporaryFolder } from '#test/folder.ts'
import { ipfsPath } from '#test/kubo.ts'
import { privateConfig, setIn } from '#test/kubo-double.ts'

const stateWith = (changes: Record<string, unknown> = {}, more: Partial<KuboState> = {}): KuboState => {
  const config = privateConfig()
  for (const [path, value] of Object.entries(changes)) setIn(config, path, value)
  return { config, addresses: [], peers: [], ...more }
}
const unmetWith = (...args: Parameters<typeof stateWith>) => unmetBy(stateWith(...args), 'private')

describe('a daemon that is promised to be private', () => {
  test('is taken when nothing is left to wish for', () => {
    expect(unmetWith()).toEqual([])
    expect(unmetWith({ Bootstrap: null, 'DNS.Resolvers': null })).toEqual([])
  })

  test.each(settingsOf('private').map(({ path, what }) => [path, what] as const))(
    'is refused for %s alone',
    (path, what) => {
      for (const value of [undefined, 'auto', ['auto'], true, false]) {
        const unmet = unmetWith({ [path]: value })
        const wished = settingsOf('private').find((setting) => setting.path === path)?.value
        const fits = value === wished || (value === undefined && typeof wished === 'object')
        expect(unmet.map((one) => one.what)).toEqual(fits ? [] : [what])
        for (const { fix } of unmet) expect(fix).toContain(path)
      }
    },
  )

  test.each([
    '/ip4/0.0.0.0/tcp/4001',
    '/ip6/::/tcp/4001',
    '/ip4/198.51.100.7/tcp/4001',
    '/dns4/kubo.example/tcp/4001',
    'nothing known',
  ])('is refused where it listens at %s, by its configuration or in truth', (address) => {
    expect(unmetWith({ 'Addresses.Swarm': [address] })).toHaveLength(1)
    expect(unmetWith({}, { addresses: [address] })).toHaveLength(1)
  })

  test.each([
    '/ip4/127.0.0.1/tcp/4001',
    '/ip4/10.1.2.3/tcp/4001',
    '/ip4/192.168.7.7/tcp/1',
    '/ip6/fd00::1/tcp/4001',
    '/ip6/::1/tcp/4001',
  ])('may listen at %s', (address) => {
    expect(unmetWith({ 'Addresses.Swarm': [address] }, { addresses: [address] })).toEqual([])
  })

  test('speaks only with the peers that it names', () => {
    const Peers = [{ ID: '12D3KooWa', Addrs: ['/ip4/10.0.0.2/tcp/4001'] }]
    expect(unmetWith({ 'Peering.Peers': Peers }, { peers: ['12D3KooWa'] })).toEqual([])
    expect(unmetWith({ 'Peering.Peers': Peers }, { peers: ['12D3KooWa', '12D3KooWb'] })[0]?.what).toContain('12D3KooWb')
  })
})

describe('any daemon', () => {
  test.each(['private', 'public'] as const)(
    'that is %s has to sync, and nobody may command it without a key',
    (network) => {
      const wrapped = { type: 'measure', child: { type: 'flatfs', sync: false } }
      for (const Spec of [
        { type: 'flatfs', sync: false },
        { mounts: [wrapped] },
        { type: 'badgerds', syncWrites: false },
      ])
        expect(unmetBy(stateWith({ 'Datastore.Spec': Spec }), network)).toHaveLength(1)
      const API = ['/ip4/127.0.0.1/tcp/5001', '/ip4/0.0.0.0/tcp/5001']
      expect(unmetBy(stateWith({ 'Addresses.API': API }), network)[0]?.what).toContain('/ip4/0.0.0.0/tcp/5001')
      const Authorizations = { us: { AuthSecret: 'bearer:sesame', AllowedPaths: ['/api/v0'] } }
      expect(unmetBy(stateWith({ 'Addresses.API': API, 'API.Authorizations': Authorizations }), network)).toEqual([])
    },
  )

  test('that says nothing of itself that can be read is refused', () => {
    for (const config of [null, 7, [], 'config', { Swarm: 7, Addresses: null }])
      expect(unmetBy({ config, addresses: [], peers: [] }, 'private').length).toBeGreaterThan(10)
  })

  test('has a key as its own configuration writes it, and no other', () => {
    expect(authorizationOf('bearer:sesame\n')).toBe('Bearer sesame')
    expect(authorizationOf('basic:user:pass')).toBe('Basic dXNlcjpwYXNz')
    for (const secret of ['sesame', 'bearer:', 'basic:user', 'bearer:two words', 'bearer:line\nbreak'])
      expect(() => authorizationOf(secret)).toThrow('the key of a Kubo daemon')
  })
})

test('the commands make a swarm key of 32 new bytes, and print what the check asks for', async () => {
  const [one, other] = await Promise.all([consilium(['kubo', 'swarm-key']), consilium(['kubo', 'swarm-key'])])
  expect(one.stdout).toMatch(/^\/key\/swarm\/psk\/1\.0\.0\/\n\/base16\/\n[0-9a-f]{64}\n$/)
  expect(other.stdout).not.toBe(one.stdout)
  const { stdout } = await consilium(['kubo', 'config', '--network', 'private', '--json'])
  expect(JSON.parse(stdout)).toEqual({ network: 'private', commands: commandsFor('private') })
})

const ipfs = ipfsPath()
if (ipfs === undefined)
  process.stderr.write('skipped: the printed commands make a real repository private, without ipfs\n')
const withKubo = ipfs === undefined ? test.skip : test
withKubo('the printed commands make a new repository private', async () => {
  await using folder = await temporaryFolder()
  const env = { PATH: `${dirname(ipfs ?? '')}:${process.env['PATH']}`, HOME: folder.path, IPFS_PATH: folder.path }
  const shell = (input: string) => {
    const { status, stdout, stderr } = spawnSync('sh', ['-eu'], { env, input, encoding: 'utf8' })
    expect({ status, stderr }).toMatchObject({ status: 0 })
    return stdout
  }
  const config = () => JSON.parse(shell('ipfs config show'))
  shell('ipfs init')
  const state = { addresses: [], peers: [] }
  expect(unmetBy({ config: config(), ...state }, 'private').length).toBeGreaterThan(15)
  shell(commandsFor('private').join('\n'))
  expect(unmetBy({ config: config(), ...state }, 'private')).toEqual([])
})
