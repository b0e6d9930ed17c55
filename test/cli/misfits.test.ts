import { expect, test } from '@jest/globals'
import { Misfits } from '#cli/sim/misfits.ts'
import { TrainingRefused } from '#protocol/ports.ts'
import { toyTrainer } from '#sim/toy.ts'

test('a simulated site whose data does not fit is told of once, by its file, and every round goes on without it', async () => {
  const said: string[] = []
  const misfits = new Misfits((line) => said.push(line))
  const refusing = { ...toyTrainer(1), fit: () => Promise.reject(new TrainingRefused('data-contract', 'no column x')) }
  for (let round = 0; round < 2; round++) {
    const trainer = misfits.on(0, { kind: 'csv', path: '/a/b/brac.csv' }, refusing)
    await expect(trainer.fit(new Float32Array(0), {} as never, AbortSignal.timeout(1000))).rejects.toThrow(
      'no column x',
    )
  }
  expect(said).toEqual(['brac.csv is not in it: data-contract: no column x'])
})
