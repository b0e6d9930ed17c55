/** A file that was kept. */
export type FileView = { cid: string; size_bytes: number }

/** What to train. */
export type TaskView = {
  task: string
  name: string
  data: 'image' | 'table' | 'text' | 'joint'
  loss: string
  architecture: string
  genesis: string
  parameters: number
  trained: number
  created_at: string
}

/** A model, and which rounds made it. */
export type ModelView = {
  model: string
  architecture: string
  weights: string
  size_bytes: number
  parameters: number
  trained: number
  input: number[]
  output: number[]
  tensors: { name: string; shape: number[]; role: 'trainable' | 'moving' | 'frozen' }[]
  /** Which rounds made it; of round 0 the run starts from it. */
  lineage: { run: string; round: number; manifest: string | null }[]
}
