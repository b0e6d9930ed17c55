import type { PeerConfig } from '#coordinator/peer.ts'
import { type Arguments, usage } from './arguments.ts'

/** Only TCP, and only addresses that say where somebody is: nothing that has to be looked up with others first. */
export function libp2pOf(args: Arguments): PeerConfig | undefined {
  const addresses = (name: string, pattern: RegExp, example: string): readonly string[] => {
    const given = args.text(name)?.split(',') ?? []
    const wrong = given.find((address) => !pattern.test(address))
    if (wrong === undefined) return given
    throw usage('bad_value', `--${name} takes multiaddrs of TCP, and ${wrong} is none`, `--${name} ${example}`)
  }
  const listen = addresses('libp2p', LISTENS, '/ip4/127.0.0.1/tcp/4001')
  const peers = addresses('libp2p-peer', DIALLED, '/ip4/192.0.2.1/tcp/4001/p2p/12D3KooW…')
  return listen.length + peers.length > 0 ? { listen, peers } : undefined
}

const LISTENS = /^\/ip(4\/[\d.]+|6\/[\da-f:]+)\/tcp\/\d{1,5}$/i
const DIALLED = /^\/(ip4|ip6|dns|dns4|dns6)\/[^/]+\/tcp\/\d{1,5}(\/p2p\/\w+)?$/
