import { Listing, type ListOptions, same } from './listing.ts'
import type { NewTask } from './task.ts'
import type { CallOptions, CreateOptions, Transport } from './transport.ts'
import type { FileView, ModelView, TaskView } from './views/models.ts'

/** What can be trained, by content: tasks, the models that came of them, and the files that they name. */
export class Tasks {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  list(options: ListOptions = {}): Listing<TaskView> {
    return new Listing(this.#transport, '/v1/tasks', options, same)
  }

  /** @param task the `task` of what a run is created from @returns it under its CID, which is the same every time */
  create(task: NewTask, options: CreateOptions = {}): Promise<TaskView> {
    return this.#transport.json('/v1/tasks', { method: 'POST', json: task, ...options })
  }

  /** As it is posted: `create` takes it, and so does a run. */
  get(cid: string, options: CallOptions = {}): Promise<NewTask> {
    return this.#transport.json(`/v1/tasks/${encodeURIComponent(cid)}`, options)
  }

  /** A model's tensors, and which rounds made it. Its weights come by {@link Run.model}, checked. */
  model(cid: string, options: CallOptions = {}): Promise<ModelView> {
    return this.#transport.json(`/v1/models/${encodeURIComponent(cid)}`, options)
  }

  /** Keeps a file that anybody may then read: public data, or weights that a run starts from. No time limit: it may be large. */
  keepFile(file: Blob, options: CallOptions = {}): Promise<FileView> {
    const headers = { 'content-type': 'application/octet-stream' }
    return this.#transport.json('/v1/files', { method: 'POST', body: file, headers, timeoutMs: 0, ...options })
  }
}
