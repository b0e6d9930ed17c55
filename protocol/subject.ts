import { z } from 'zod'
import { type Question, questionSchema } from './question.ts'
import { type Task, taskSchema } from './task.ts'

/** What a run is about, as its plan's `task` names it: a task to learn, or a question to answer. */
export const subjectSchema = z.union([taskSchema, questionSchema])
export type Subject = Task | Question

export function isQuestion(subject: Subject): subject is Question {
  return 'items' in subject
}
