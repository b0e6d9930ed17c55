import type { Loss } from './task.ts'

/** Whether it squashes what the model gives by itself: done twice, a model still trains, and badly. */
export function takesLogits(loss: Loss): boolean {
  return loss === 'softmax-cross-entropy' || loss === 'sigmoid-cross-entropy'
}
