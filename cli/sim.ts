import type { Call } from './command.ts'
import { playMany, playOne } from './sim/cluster.ts'
import { clusterSettings, seedsOf } from './sim/options.ts'
import { listenForStop } from './stopping.ts'

/** `consilium sim`: a cluster and everything that a seed lets go wrong in it, or a federation of many sites that train. */
export async function execute({ args, output }: Call): Promise<number> {
  using stopping = listenForStop()
  if (args.text('sites') !== undefined || args.text('data') !== undefined) {
    const { simulateSites } = await import('./sim/sites.ts')
    return simulateSites(args, output, stopping)
  }
  const settings = clusterSettings(args)
  const [first, last] = seedsOf(args)
  if (args.text('seeds') === undefined) return playOne(settings, first, output)
  return playMany(settings, [first, last], output, stopping)
}
