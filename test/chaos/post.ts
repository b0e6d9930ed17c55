import type { ConsiliumProcess, Said } from '#cli/demo/process.ts'

/** A place that one process holds at a time: when it is killed, the same command begins again on the same state. */
export class Post implements AsyncDisposable {
  readonly #start: () => Promise<ConsiliumProcess>
  readonly #readyType: string
  readonly #listeners: ((said: Said) => void)[] = []
  #process: ConsiliumProcess
  #closed = false

  private constructor(readyType: string, start: () => Promise<ConsiliumProcess>, process: ConsiliumProcess) {
    this.#readyType = readyType
    this.#start = start
    this.#process = process
  }

  /** @param readyType what the process says when it is ready */
  static async open(readyType: string, start: () => Promise<ConsiliumProcess>): Promise<Post> {
    return new Post(readyType, start, await start())
  }

  get pid(): number {
    return this.#process.pid
  }

  /** What this process says when it is ready, or said. Throws where it ends before. */
  ready(): Promise<Said> {
    return this.#process.first(this.#readyType)
  }

  /** To whatever this process says, and the next ones. */
  listen(listener: (said: Said) => void): void {
    this.#listeners.push(listener)
    this.#process.listen(listener)
  }

  /** kill -9 and at once the same again; it need not be ready yet. Nothing of a process that ended by itself is hidden. */
  async crash(): Promise<void> {
    if (!this.#process.alive()) throw await this.#process.failure()
    this.#process.signal('SIGKILL')
    await this.#process.ended
    if (this.#closed) return
    this.#process = await this.#start()
    for (const listener of this.#listeners) this.#process.listen(listener)
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.signal(signal)
  }

  /** Throws where the process has ended by itself. */
  async check(): Promise<void> {
    if (!this.#process.alive()) throw await this.#process.failure()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    // One that is stopped hears nothing.
    this.#process.signal('SIGCONT')
    await this.#process[Symbol.asyncDispose]()
  }
}
