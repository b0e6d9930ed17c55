import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import { type NodeId, nodeIdOf } from '#protocol/ids.ts'
import type { Presence } from '#protocol/ports.ts'
import { comesTrue } from '#test/eventually.ts'

/** Processes that share one presence. */
export type Processes = AsyncDisposable & {
  readonly enter: () => Promise<Presence>
  /** Ends one without a farewell. */
  readonly kill: (presence: Presence) => Promise<void>
}

/** Distinct nodes, ascending. */
export function nodesOf(count: number): readonly NodeId[] {
  return Array.from({ length: count }, (_, index) => nodeIdOf(sha256(utf8(`node ${index}`)))).toSorted()
}

/** What every Presence promises. */
export function presenceConformance(name: string, open: () => Promise<Processes>): void {
  const [ann, ben, cat, dan] = nodesOf(4) as [NodeId, NodeId, NodeId, NodeId]

  async function seen(presence: Presence): Promise<readonly NodeId[]> {
    const nodes = await presence.nodes()
    expect(await presence.count()).toBe(nodes.length)
    for (const node of [ann, ben, cat, dan]) expect(await presence.has(node)).toBe(nodes.includes(node))
    return nodes
  }

  describe(`presence: ${name}`, () => {
    test('a link to one process is known to all, each node once and ascending, until it is gone', async () => {
      await using processes = await open()
      const [one, two] = [await processes.enter(), await processes.enter()]
      await one.arrived(cat)
      await two.arrived(ann)
      await one.arrived(ben)
      await one.arrived(cat)
      for (const presence of [one, two]) expect(await seen(presence)).toEqual([ann, ben, cat])
      expect(await one.departed(cat)).toBe(true)
      expect(await one.departed(cat)).toBe(false)
      expect(await two.departed(ben)).toBe(false)
      for (const presence of [one, two]) expect(await seen(presence)).toEqual([ann, ben])
      expect(await two.orphans()).toEqual([])
    })

    test('the newest link counts: what the process of an older one says changes nothing', async () => {
      await using processes = await open()
      const [one, two] = [await processes.enter(), await processes.enter()]
      await one.arrived(ann)
      await two.arrived(ann)
      expect(await one.departed(ann)).toBe(false)
      expect(await seen(one)).toEqual([ann])
      await one.arrived(ann)
      expect(await two.departed(ann)).toBe(false)
      expect(await one.departed(ann)).toBe(true)
      expect(await seen(two)).toEqual([])
    })

    test('a process is told whose newer link is elsewhere, until the older one has departed or is the newest again', async () => {
      await using processes = await open()
      const [one, two] = [await processes.enter(), await processes.enter()]
      for (const node of [cat, ann, ben]) await one.arrived(node)
      expect(await one.moved()).toEqual([])
      for (const node of [cat, ann, ben]) await two.arrived(node)
      for (const _ of [1, 2]) expect(await one.moved()).toEqual([ann, ben, cat])
      expect(await two.moved()).toEqual([])
      expect(await one.departed(ann)).toBe(false)
      await one.arrived(ben)
      expect(await one.moved()).toEqual([cat])
      expect(await two.moved()).toEqual([ben])
      expect(await two.departed(cat)).toBe(true)
      expect(await one.moved()).toEqual([cat])
    })

    test('a process that says farewell takes its links with it, and leaves no orphans', async () => {
      await using processes = await open()
      const [one, two] = [await processes.enter(), await processes.enter()]
      await one.arrived(ann)
      await one.arrived(ben)
      await two.arrived(ben)
      await one[Symbol.asyncDispose]()
      expect(await seen(two)).toEqual([ben])
      expect(await two.orphans()).toEqual([])
    })

    test('the nodes of a process that died are linked nowhere, and each is told to one caller, once', async () => {
      await using processes = await open()
      const [one, two, three] = [await processes.enter(), await processes.enter(), await processes.enter()]
      for (const node of [ann, ben, cat]) await one.arrived(node)
      await two.arrived(cat)
      await two.arrived(dan)
      await processes.kill(one)
      await comesTrue(async () => !(await two.has(ann)))
      expect(await seen(two)).toEqual([cat, dan])
      const told = await Promise.all([two, three, two, three].map((presence) => presence.orphans()))
      expect(told.flat().sort()).toEqual([ann, ben])
      expect(told.filter((nodes) => nodes.length > 0)).toHaveLength(1)
      for (const presence of [two, three]) expect(await presence.orphans()).toEqual([])
      expect(await seen(three)).toEqual([cat, dan])
    })

    test('a node that came back to another process before anybody asked is no orphan', async () => {
      await using processes = await open()
      const [one, two] = [await processes.enter(), await processes.enter()]
      await one.arrived(ann)
      await one.arrived(ben)
      await processes.kill(one)
      await two.arrived(ann)
      await comesTrue(async () => !(await two.has(ben)))
      expect(await two.orphans()).toEqual([ben])
      expect(await seen(two)).toEqual([ann])
      await two.arrived(ben)
      expect(await seen(two)).toEqual([ann, ben])
      expect(await two.orphans()).toEqual([])
    })

    test('whatever comes and goes, it is a table of the newest links', async () => {
      await using processes = await open()
      const views = [await processes.enter(), await processes.enter(), await processes.enter()]
      const act = fc.record({
        arrives: fc.boolean(),
        node: fc.constantFrom(ann, ben, cat, dan),
        at: fc.nat({ max: views.length - 1 }),
      })
      const model = new Map<NodeId, number>()
      await fc.assert(
        fc.asyncProperty(fc.array(act, { maxLength: 30 }), async (acts) => {
          for (const { arrives, node, at } of acts) {
            const presence = views[at] as Presence
            if (arrives) {
              await presence.arrived(node)
              model.set(node, at)
            } else expect(await presence.departed(node)).toBe(model.get(node) === at && model.delete(node))
          }
          for (const presence of views) expect(await seen(presence)).toEqual([...model.keys()].sort())
          expect(await views[0]?.orphans()).toEqual([])
        }),
        { numRuns: 15 },
      )
    })
  })
}
