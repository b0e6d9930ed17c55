import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { LaterStack } from '#client/lend/disposal.ts'

/** What is done to a stack, one after the other. */
const anyStep = fc.oneof(
  fc.record({
    kind: fc.constantFrom('use', 'use-now', 'adopt', 'defer'),
    fails: fc.boolean(),
    later: fc.boolean(),
  }),
  fc.constantFrom(
    { kind: 'use-nothing', fails: false, later: false },
    { kind: 'use-junk', fails: false, later: false },
    { kind: 'move', fails: false, later: false },
    { kind: 'dispose', fails: false, later: false },
  ),
)
type Step = { readonly kind: string; readonly fails: boolean; readonly later: boolean }

/** All that anybody can see of it. */
async function told(make: () => AsyncDisposableStack, steps: readonly Step[]): Promise<readonly unknown[]> {
  const seen: unknown[] = []
  let stack = make()
  const stacks = [stack]
  const end = (at: number, { fails, later }: Step): PromiseLike<void> | undefined => {
    seen.push(['ends', at])
    const failing = () => {
      if (fails) throw new Error(`of ${at}`)
    }
    return later ? Promise.resolve().then(failing) : void failing()
  }
  const doing: Readonly<Record<string, (at: number, step: Step) => unknown>> = {
    use: (at, step) => stack.use({ at, [Symbol.asyncDispose]: async () => end(at, step) }).at,
    'use-now': (at, step) => stack.use({ at, [Symbol.dispose]: () => void end(at, { ...step, later: false }) }).at,
    'use-nothing': () => [stack.use(null), stack.use(undefined)],
    'use-junk': () => stack.use({} as Disposable),
    adopt: (at, step) => stack.adopt(at, (given) => end(given, step)),
    defer: (at, step) => stack.defer(() => end(at, step)),
    move: () => {
      stacks.push(stack.move())
      stack = stacks.at(-1) as AsyncDisposableStack
    },
    dispose: () => stack.disposeAsync(),
  }
  for (const [at, step] of steps.entries()) {
    try {
      seen.push([step.kind, await doing[step.kind]?.(at, step)])
    } catch (cause) {
      seen.push(failureOf(cause))
    }
    seen.push(stacks.map(({ disposed }) => disposed))
  }
  await stack[Symbol.asyncDispose]().catch((cause: unknown) => seen.push(failureOf(cause)))
  return [...seen, stack.disposed, String(stack)]
}

function failureOf(cause: unknown): unknown {
  const { name, message, error, suppressed } = cause as SuppressedError
  return name === 'SuppressedError'
    ? [name, failureOf(error), failureOf(suppressed)]
    : [name, name === 'Error' && message]
}

test('a browser without explicit resource management gets it as the language has it, whatever fails and in whichever order', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { maxLength: 12 }), async (steps) => {
      expect(await told(() => new LaterStack(), steps)).toEqual(await told(() => new AsyncDisposableStack(), steps))
    }),
  )
})
