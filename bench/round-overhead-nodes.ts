import { sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import { parseNodeId } from '#protocol/ids.ts'
import { idleNode } from './idle-node.ts'

/** A process of no-op nodes: everything a node does but the training. `node round-overhead-nodes.ts <url> <key> <first> <count>` */
const [url, key, first, count] = process.argv.slice(2)
const coordinator = parseNodeId(key ?? '')
if (!url || !coordinator.ok) throw new Error('which coordinator?')

for (let index = Number(first); index < Number(first) + Number(count); index++)
  idleNode({ url, coordinator: coordinator.value, secret: sha256(utf8(`bench node ${index}`)) })
process.on('disconnect', () => process.exit(0))
