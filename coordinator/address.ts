import { isIPv6 } from 'node:net'
import { base58btc } from 'multiformats/bases/base58'
import { type NodeId, publicKeyOf } from '#protocol/ids.ts'

/** multihash `identity` of 36 bytes: a protobuf of type Ed25519 with a key of 32. */
const ED25519_PEER = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20] as const

/** Where blocks are read over HTTP, as a multiaddr that names its peer, since IPFS tools read no other. */
export function multiaddrOf(
  { address, port }: { readonly address: string; readonly port: number },
  { id, isTls }: { readonly id: NodeId; readonly isTls: boolean },
): string {
  const peer = base58btc.baseEncode(Uint8Array.from([...ED25519_PEER, ...publicKeyOf(id)]))
  return `/${isIPv6(address) ? 'ip6' : 'ip4'}/${address}/tcp/${port}${isTls ? '/tls' : ''}/http/p2p/${peer}`
}
