import type { Strategy } from './strategy.ts'

/** FedAvg (McMahan et al. 2017, algorithm 1), in deltas and with a server rate: w ← fround(w + fround(rate·mean)). */
export function fedavg(serverRate: number): Strategy {
  return {
    memoryLength: () => 0,
    apply: (model, mean, memory) => ({
      model: model.map((weight, index) => weight + Math.fround(serverRate * (mean[index] as number))),
      memory,
    }),
  }
}
