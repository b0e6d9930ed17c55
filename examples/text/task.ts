import { notZero, textData, words } from 'consilium/sdk/data'
import { dense, embedding, globalPooling, sequential } from 'consilium/sdk/layers'
import { adam, defineTask } from 'consilium/sdk/task'

/** The same list at every site: it is part of the task, so no words leave a site to make it. */
const VOCABULARY = [
  ...['no', 'mild', 'severe', 'sudden', 'chest', 'breath', 'pain', 'fever', 'cough', 'bleeding', 'fainted', 'rash'],
  ...['itching', 'headache', 'since', 'today', 'week', 'stable', 'worse', 'better', 'short', 'of', 'with', 'and'],
]

/** Whether a note of triage is of somebody who cannot wait. */
export const task = defineTask({
  name: 'urgent notes',
  data: textData({ column: 'note', tokens: words(VOCABULARY), length: 16, label: notZero('urgent') }),
  // 0 fills up, 1 is any other word, and those of the list begin at 2.
  model: sequential([embedding(VOCABULARY.length + 2, 8), globalPooling('average'), dense(1)]),
  loss: 'sigmoid-cross-entropy',
  metrics: ['auroc'],
  local: { epochs: 2, batch: 16, optimizer: adam(0.05) },
  rounds: 8,
  budget: '1000000',
  cohort: { min: 3, max: 4 },
})
