import { readFile } from 'node:fs/promises'
import { operatorField } from '#protocol/codec.ts'
import { type NodeId, parseNodeId } from '#protocol/ids.ts'
import { usage } from './arguments.ts'

/**
 * Node ids, one a line, each followed by the name of its operator where it is not its own; what follows a # is a comment. A
 * coordinator's list says who may link, a node's who may be in a session with it.
 */
export async function readAllowList(file: string): Promise<ReadonlyMap<NodeId, string | null>> {
  const nodes = new Map<NodeId, string | null>()
  for (const [index, line] of (await readFile(file, 'utf8')).split('\n').entries()) {
    const [id, operator, ...more] = line.replace(/#.*/, '').trim().split(/\s+/)
    if (!id) continue
    const wrong = (what: string) => usage('bad_allow_list', `${file}, line ${index + 1}: ${what}`)
    const node = parseNodeId(id)
    if (!node.ok) throw wrong(node.detail ?? node.refusal)
    if (more.length > 0 || (operator !== undefined && !operatorField.safeParse(operator).success))
      throw wrong('after the node id comes at most its operator: a-z, 0-9 and -, at most 32 characters')
    if (nodes.has(node.value) && nodes.get(node.value) !== (operator ?? null))
      throw wrong('the node is there already, with another operator')
    nodes.set(node.value, operator ?? null)
  }
  if (nodes.size === 0) throw usage('bad_allow_list', `${file} lists no node`, 'one id a line, from consilium node id')
  return nodes
}
