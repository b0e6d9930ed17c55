/**
 * Explicit resource management, for browsers that come without it: Safari, Firefox before 141, Chromium before 134. What the
 * bundler makes of `await using` needs none of this; what is called by name does. Loaded only there, before whatever names it.
 */
for (const name of ['dispose', 'asyncDispose'] as const)
  if (!(name in Symbol)) Object.defineProperty(Symbol, name, { value: Symbol(`Symbol.${name}`) })

type End = () => unknown

/** As the language has it, but for what is used of another realm's. */
export class LaterStack implements AsyncDisposableStack {
  readonly [Symbol.toStringTag] = 'AsyncDisposableStack'
  #ends: End[] | undefined = []

  get disposed(): boolean {
    return this.#ends === undefined
  }

  use<T extends AsyncDisposable | Disposable | null | undefined>(value: T): T {
    this.#open()
    if (value === null || value === undefined) return value
    const end = Symbol.asyncDispose in value ? value[Symbol.asyncDispose] : value[Symbol.dispose]
    if (typeof end !== 'function') throw new TypeError('it cannot be disposed of')
    this.defer(() => end.call(value))
    return value
  }

  adopt<T>(value: T, end: (value: T) => PromiseLike<void> | void): T {
    this.defer(() => end(value))
    return value
  }

  defer(end: () => PromiseLike<void> | void): void {
    this.#open().push(end)
  }

  move(): AsyncDisposableStack {
    const moved = new LaterStack()
    moved.#ends = this.#open()
    this.#ends = undefined
    return moved
  }

  async disposeAsync(): Promise<void> {
    const ends = this.#ends ?? []
    this.#ends = undefined
    const failures: unknown[] = []
    for (const end of ends.reverse()) {
      try {
        await end()
      } catch (cause) {
        failures.push(cause)
      }
    }
    if (failures.length > 0) throw failures.reduce(suppressing)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.disposeAsync()
  }

  #open(): End[] {
    if (!this.#ends) throw new ReferenceError('the stack is disposed of')
    return this.#ends
  }
}

/** The last failure is the one that is seen, with the ones before it. */
function suppressing(suppressed: unknown, error: unknown): Error {
  const both = new Error('an error was suppressed during disposal')
  return Object.assign(both, { name: 'SuppressedError', error, suppressed })
}

if (!('AsyncDisposableStack' in globalThis)) Object.assign(globalThis, { AsyncDisposableStack: LaterStack })
