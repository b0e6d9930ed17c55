import { BlockList, isIPv4 } from 'node:net'

/** Who may speak with a daemon: those that have the swarm's key, on networks of ours; or everybody. */
export type KuboNetwork = 'private' | 'public'

/** What a daemon says of itself. */
export type KuboState = {
  readonly config: unknown
  /** Where it listens, as multiaddrs. */
  readonly addresses: readonly string[]
  /** Ids of the peers that it is connected to. */
  readonly peers: readonly string[]
}

/** What is not as it was promised, and the command that makes it so. */
export type Unmet = { readonly what: string; readonly fix: string }

type Setting = { readonly path: string; readonly value: unknown; readonly what: string }

/** Of a private daemon. The key of its swarm cannot be seen from outside: these keep it apart also where there is none. */
const PRIVATE: readonly Setting[] = [
  { path: 'Bootstrap', value: [], what: 'it dials bootstrap nodes' },
  { path: 'AutoConf.Enabled', value: false, what: 'it fetches its configuration from the network' },
  { path: 'Routing.Type', value: 'none', what: 'it asks a DHT or a public router' },
  { path: 'Routing.DelegatedRouters', value: [], what: 'it names public routers' },
  { path: 'Ipns.DelegatedPublishers', value: [], what: 'it names public publishers' },
  { path: 'DNS.Resolvers', value: {}, what: 'it asks public resolvers of names' },
  { path: 'Provide.Enabled', value: false, what: 'it announces what it has' },
  { path: 'HTTPRetrieval.Enabled', value: false, what: 'it fetches from public gateways' },
  { path: 'Discovery.MDNS.Enabled', value: false, what: 'it looks for peers around it' },
  { path: 'AutoTLS.Enabled', value: false, what: 'it asks for a public name and certificate' },
  { path: 'AutoNAT.ServiceMode', value: 'disabled', what: 'it helps strangers to find their addresses' },
  { path: 'Swarm.DisableNatPortMap', value: true, what: 'it asks the router for an open port' },
  { path: 'Swarm.EnableHolePunching', value: false, what: 'it lets itself be reached through firewalls' },
  { path: 'Swarm.RelayClient.Enabled', value: false, what: 'it lets itself be reached through relays' },
  { path: 'Swarm.RelayService.Enabled', value: false, what: 'it relays for others' },
  { path: 'Swarm.Transports.Network.Relay', value: false, what: 'it speaks over relays' },
  { path: 'Swarm.Transports.Network.QUIC', value: false, what: 'it speaks QUIC, which knows no swarm key' },
  { path: 'Version.SwarmCheckEnabled', value: false, what: 'it compares versions with its peers' },
  { path: 'Plugins.Plugins.telemetry.Disabled', value: true, what: 'it reports to its makers' },
]

export function settingsOf(network: KuboNetwork): readonly Setting[] {
  return network === 'private' ? PRIVATE : []
}

/** The commands that make a repository right, run before its daemon starts. */
export function commandsFor(network: KuboNetwork): readonly string[] {
  const listeners = network === 'private' ? [LISTENERS] : []
  return [SYNC, LOCAL_RPC, ...settingsOf(network).map(commandOf), ...listeners]
}

/** What a daemon does not keep of what was promised for it. */
export function unmetBy({ config, addresses, peers }: KuboState, network: KuboNetwork): readonly Unmet[] {
  const found: Unmet[] = []
  if (!isSynced(at(config, 'Datastore.Spec')))
    found.push({ what: 'it answers before a block is on the disk', fix: SYNC })
  const open = listOf(at(config, 'Addresses.API')).filter((address) => !isWithin(address, LOOPBACK))
  if (open.length > 0 && Object.keys(at(config, 'API.Authorizations') ?? {}).length === 0)
    found.push({ what: `anybody may command it at ${open.join(', ')}`, fix: LOCAL_RPC })
  if (network === 'public') return found
  for (const setting of PRIVATE)
    if (JSON.stringify(at(config, setting.path) ?? emptyOf(setting.value)) !== JSON.stringify(setting.value))
      found.push({ what: setting.what, fix: commandOf(setting) })
  const heard = [...new Set([...listOf(at(config, 'Addresses.Swarm')), ...addresses])]
  const outside = heard.filter((address) => !isWithin(address, INSIDE))
  if (outside.length > 0) found.push({ what: `strangers reach it at ${outside.join(', ')}`, fix: LISTENERS })
  const known = listOf(at(config, 'Peering.Peers')).map((peer) => at(peer, 'ID'))
  const strangers = peers.filter((peer) => !known.includes(peer))
  if (strangers.length > 0)
    found.push({ what: `it speaks with peers that it does not name: ${strangers.join(', ')}`, fix: PEERS })
  return found
}

/** Durability is the default of older versions only. */
const SYNC = `ipfs config --json Datastore.Spec "$(ipfs config Datastore.Spec | sed 's/"sync": false/"sync": true/')"`
const LISTENERS = `ipfs config --json Addresses.Swarm '["/ip4/127.0.0.1/tcp/4001"]'   # or this machine's private address`
const LOCAL_RPC = `ipfs config --json Addresses.API '"/ip4/127.0.0.1/tcp/5001"'   # or set API.Authorizations`
const PEERS = `ipfs config --json Peering.Peers '[{"ID":"12D3…","Addrs":["/ip4/10.0.0.2/tcp/4001"]}]'`

function commandOf({ path, value }: Setting): string {
  return `ipfs config --json ${path} '${JSON.stringify(value)}'`
}

/** A list or a map that is not there is an empty one; a switch that is not there is on. */
function emptyOf(value: unknown): unknown {
  if (Array.isArray(value)) return []
  return typeof value === 'object' ? {} : undefined
}

function at(config: unknown, path: string): unknown {
  let found = config
  for (const name of path.split('.'))
    found = found !== null && typeof found === 'object' ? (found as Record<string, unknown>)[name] : undefined
  return found ?? undefined
}

function listOf(value: unknown): readonly string[] {
  return value === undefined ? [] : Array.isArray(value) ? value : [String(value)]
}

/** Whether every part of the store that can be told to sync is. */
function isSynced(spec: unknown): boolean {
  if (spec === null || typeof spec !== 'object') return true
  if (Array.isArray(spec)) return spec.every(isSynced)
  const { type, sync, syncWrites, ...rest } = spec as Record<string, unknown>
  if (type === 'flatfs' && sync !== true) return false
  if (type === 'badgerds' && syncWrites !== true) return false
  return Object.values(rest).every(isSynced)
}

function listed(...ranges: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList()
  for (const [address, bits] of ranges) list.addSubnet(address, bits, isIPv4(address) ? 'ipv4' : 'ipv6')
  return list
}
const LOOPBACK = listed(['127.0.0.0', 8], ['::1', 128])
/** Addresses that no router of the Internet passes on. */
const INSIDE = listed(
  ...([
    ['127.0.0.0', 8],
    ['10.0.0.0', 8],
    ['172.16.0.0', 12],
    ['192.168.0.0', 16],
    ['100.64.0.0', 10],
  ] as const),
  ...([
    ['::1', 128],
    ['fc00::', 7],
    ['fe80::', 10],
  ] as const),
)

/** Only addresses say where they are; a name may be anywhere. */
function isWithin(multiaddr: string, list: BlockList): boolean {
  const [, kind, address = ''] = multiaddr.split('/')
  if (kind === 'ip4') return list.check(address, 'ipv4')
  if (kind === 'ip6') return list.check(address, 'ipv6')
  // A daemon that listens nowhere still has a name.
  return kind === 'unix' || kind === 'p2p'
}
