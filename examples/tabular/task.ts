import { category, notZero, number, tableData } from 'consilium/sdk/data'
import { dense, sequential } from 'consilium/sdk/layers'
import { adam, defineTask } from 'consilium/sdk/task'

/** Whether a patient is admitted again, from a table that every hospital has under the same names. */
export const task = defineTask({
  name: 'readmission',
  data: tableData({
    columns: [
      number('age'),
      number('pressure', { gaps: true }),
      number('creatinine'),
      category('ward', [0, 1, 2]),
      category('smoker', [0, 1]),
    ],
    label: notZero('readmitted'),
  }),
  model: sequential([dense(16, 'relu'), dense(1)]),
  loss: 'sigmoid-cross-entropy',
  metrics: ['auroc'],
  local: { epochs: 2, batch: 32, optimizer: adam(0.01) },
  rounds: 10,
  budget: '1000000',
  cohort: { min: 3, max: 4 },
})
