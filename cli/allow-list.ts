import { readFile } from 'node:fs/promises'
import { type NodeId, parseNodeId } from '#protocol/ids.ts'
import { usage } from './arguments.ts'

/** Node ids, one a line; what follows a # is a comment. A coordinator's list says who may link, a node's who may be in a session with it. */
export async function readAllowList(file: string): Promise<ReadonlySet<NodeId>> {
  const nodes = new Set<NodeId>()
  for (const [index, line] of (await readFile(file, 'utf8')).split('\n').entries()) {
    const text = line.replace(/#.*/, '').trim()
    if (text === '') continue
    const node = parseNodeId(text)
    if (!node.ok) throw usage('bad_allow_list', `${file}, line ${index + 1}: ${node.detail ?? node.refusal}`)
    nodes.add(node.value)
  }
  if (nodes.size === 0) throw usage('bad_allow_list', `${file} lists no node`, 'one id a line, from consilium node id')
  return nodes
}
