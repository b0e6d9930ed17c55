/** The task of a run in which nobody trains: so many parameters, one of them a bias. */
export function noOpRun(parameters: number): object {
  return {
    task: {
      ...{ name: 'no-op', seed: '00'.repeat(32), loss: 'sigmoid-cross-entropy', epochs: 1, batchSize: 1 },
      architecture: {
        ...{ v: 1, input: [1, parameters - 1, 1] },
        layers: [
          { layer: 'flatten', name: 'flat' },
          { layer: 'dense', name: 'out', units: 1, activation: 'linear' },
        ],
      },
      data: { kind: 'image', height: 1, width: parameters - 1, channels: 1, classes: 2, rowsMax: 1000 },
      optimiser: { kind: 'sgd', rateMicro: 1, momentumMicro: 0 },
    },
  }
}
