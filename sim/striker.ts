import type { Millis } from '#protocol/ids.ts'
import type { SimCoordinator } from './coordinator.ts'
import type { Disk } from './disk.ts'
import { type Fault, fail, type Scheduled, type Who } from './faults.ts'
import type { Network } from './network.ts'
import type { SimNode } from './node.ts'
import type { VirtualClock } from './virtual-clock.ts'

/** What faults strike. @property disk the coordinators' one */
type Struck = {
  readonly nodes: readonly SimNode[]
  readonly coordinators: readonly SimCoordinator[]
  readonly disk: Disk
  readonly network: Network
  readonly clock: VirtualClock
  readonly end: AbortSignal
}

/** Lets faults strike, at once or in a while, and takes back in time what passes. */
export class Striker {
  readonly #struck: Struck
  readonly #tell: (fault: Fault) => void

  constructor(struck: Struck, tell: (fault: Fault) => void) {
    this.#struck = struck
    this.#tell = tell
  }

  schedule(faults: readonly Scheduled[]): void {
    for (const { atMillis, fault } of faults) this.#after(atMillis, () => this.strike(fault))
  }

  strike(fault: Fault): void {
    this.#tell(fault)
    const { nodes, network } = this.#struck
    switch (fault.kind) {
      case 'death':
        return nodes[fault.node]?.die()
      case 'restart':
        return nodes[fault.node]?.kill(fault.millis)
      case 'partition': {
        const ids = fault.nodes.flatMap((node) => nodes[node]?.signer.id ?? [])
        return this.#after(fault.millis, network.cut(ids, fault.direction))
      }
      case 'pause':
        this.#process(fault.who)
          ?.pause(fault.millis)
          .catch(() => undefined)
        return
      case 'full-disk':
      case 'slow-disk': {
        const disk = 'node' in fault.who ? nodes[fault.who.node]?.disk : this.#struck.disk
        return disk && this.#after(fault.millis, fail(disk, fault))
      }
      case 'jump':
        return this.#process(fault.who)?.clock.jump(fault.byMillis)
    }
  }

  #process(who: Who): SimNode | SimCoordinator | undefined {
    return 'node' in who ? this.#struck.nodes[who.node] : this.#struck.coordinators[who.coordinator]
  }

  #after(millis: Millis, act: () => void): void {
    const { clock, end } = this.#struck
    clock.wakeAt(clock.now() + millis, end).then(act, () => undefined)
  }
}
