import type { Arguments } from './arguments.ts'
import { usage } from './arguments.ts'

/** A key is at most a few hundred characters; what is longer is another file. */
const SECRET_CHARS_MAX = 10_000

type Input = AsyncIterable<Buffer | string> & {
  readonly isTTY?: boolean
  setRawMode?(raw: boolean): unknown
}

/** A secret from stdin: of a pipe the whole, of a terminal what is typed, which is not shown. */
export async function readSecret(input: Input, ask: (text: string) => void, args: Arguments): Promise<string> {
  if (input.isTTY !== true) return ofPipe(input)
  if (args.flag('no-input')) throw usage('no_input', 'the key is asked for, and --no-input forbids it', 'pipe it in')
  ask('API key (not shown): ')
  input.setRawMode?.(true)
  try {
    let typed = ''
    for await (const piece of input)
      for (const character of String(piece)) {
        if (character === '\r' || character === '\n' || character === '\x04') return typed
        if (character === '\x03') throw usage('interrupted', 'no key was given')
        typed = character === '\x7f' || character === '\b' ? typed.slice(0, -1) : typed + character
        if (typed.length > SECRET_CHARS_MAX) throw usage('bad_value', 'that is no API key')
      }
    return typed
  } finally {
    input.setRawMode?.(false)
    ask('\n')
  }
}

async function ofPipe(input: Input): Promise<string> {
  let text = ''
  for await (const piece of input) {
    text += String(piece)
    if (text.length > SECRET_CHARS_MAX) throw usage('bad_value', 'stdin is longer than any API key')
  }
  return text.trim()
}
