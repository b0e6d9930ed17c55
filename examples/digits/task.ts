import { imageData } from 'consilium/sdk/data'
import { conv2d, dense, flatten, maxPooling2d, sequential } from 'consilium/sdk/layers'
import { defineTask, sgd } from 'consilium/sdk/task'

/** Handwritten digits, 28 × 28, which sites own unevenly: what one sees often, another has hardly seen. */
export const task = defineTask({
  name: 'handwritten digits',
  data: imageData({ height: 28, width: 28, classes: 10, rowsMax: 10_000 }),
  model: sequential([
    conv2d(8, 5, { activation: 'relu' }),
    maxPooling2d(),
    conv2d(16, 5, { activation: 'relu' }),
    maxPooling2d(),
    flatten(),
    dense(10),
  ]),
  loss: 'softmax-cross-entropy',
  local: { epochs: 2, batch: 32, optimizer: sgd(0.05, { momentum: 0.9 }) },
  rounds: 8,
  budget: '1000000',
  cohort: { min: 4, max: 5 },
})
