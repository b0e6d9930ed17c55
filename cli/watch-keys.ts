/** What is asked of whoever watches a run, on its last line. */
export type Asking = 'nothing' | 'help' | 'stop' | 'interrupt'
/** What a key leads to. */
export type Act = 'stop' | 'detach' | 'interrupt'

const CONTROL_C = '\x03'
const CONTROL_D = '\x04'

/** One key. Nothing stops a run without a second one, and Ctrl-C twice always leaves. */
export function press(asking: Asking, key: string): { readonly asking: Asking; readonly act?: Act } {
  const letter = key.toLowerCase()
  if (key === CONTROL_D || (letter === 'd' && asking !== 'stop')) return { asking: 'nothing', act: 'detach' }
  switch (asking) {
    case 'stop':
      if (key === CONTROL_C) return { asking: 'interrupt' }
      return letter === 'y' ? { asking: 'nothing', act: 'stop' } : { asking: 'nothing' }
    case 'interrupt':
      if (key === CONTROL_C) return { asking: 'nothing', act: 'interrupt' }
      return letter === 's' ? { asking: 'nothing', act: 'stop' } : { asking: 'nothing' }
    case 'nothing':
    case 'help':
      if (key === CONTROL_C) return { asking: 'interrupt' }
      if (letter === 's') return { asking: 'stop' }
      return { asking: key === '?' && asking === 'nothing' ? 'help' : 'nothing' }
  }
}

export function footLines(asking: Asking): readonly string[] {
  switch (asking) {
    case 'nothing':
      return ['s stop  d detach  ? help']
    case 'help':
      return [
        's  end the run for everybody, with its record (asks first)',
        'd  leave; the run goes on, and consilium runs watch follows it again',
      ]
    case 'stop':
      return ['stop the run for everybody?  y yes  any other key no']
    case 'interrupt':
      return ['s stop the run  d detach, it goes on  any other key go on watching']
  }
}

type Terminal = {
  readonly isTTY?: boolean
  setRawMode?(raw: boolean): unknown
  on(event: 'data', listener: (data: Buffer) => void): unknown
  off(event: 'data', listener: (data: Buffer) => void): unknown
  resume(): unknown
  pause(): unknown
}

/** Each key as it is pressed, where somebody sits at a terminal; undefined elsewhere. Ctrl-C is a key then. */
export function listenToKeys(terminal: Terminal, pressed: (key: string) => void): Disposable | undefined {
  if (terminal.isTTY !== true || !terminal.setRawMode) return undefined
  const heard = (data: Buffer) => {
    const text = data.toString('utf8')
    // An arrow or another key that is told as several characters means nothing here.
    if (!text.startsWith('\x1b')) for (const key of text) pressed(key)
  }
  terminal.setRawMode(true)
  terminal.on('data', heard)
  terminal.resume()
  return {
    [Symbol.dispose]() {
      terminal.off('data', heard)
      terminal.setRawMode?.(false)
      terminal.pause()
    },
  }
}
