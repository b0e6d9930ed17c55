import { EventEmitter } from 'node:events'
import { expect, test } from '@jest/globals'
import { type Asking, footLines, listenToKeys, press } from '#cli/watch-keys.ts'

const typed = (keys: string): { readonly asking: Asking; readonly acts: readonly string[] } => {
  let asking: Asking = 'nothing'
  const acts: string[] = []
  for (const key of keys) {
    const next = press(asking, key)
    asking = next.asking
    if (next.act) acts.push(next.act)
  }
  return { asking, acts }
}

test('no single key stops a run, and any but yes takes it back', () => {
  expect(typed('s')).toEqual({ asking: 'stop', acts: [] })
  expect(typed('sn')).toEqual({ asking: 'nothing', acts: [] })
  expect(typed('sd')).toEqual({ asking: 'nothing', acts: [] })
  expect(typed('sy').acts).toEqual(['stop'])
  expect(typed('y').acts).toEqual([])
})

test('Ctrl-C asks which of the two is meant, and twice it leaves', () => {
  expect(typed('\x03')).toEqual({ asking: 'interrupt', acts: [] })
  expect(typed('\x03s').acts).toEqual(['stop'])
  expect(typed('\x03d').acts).toEqual(['detach'])
  expect(typed('\x03x').acts).toEqual([])
  expect(typed('\x03\x03').acts).toEqual(['interrupt'])
  expect(typed('s\x03\x03').acts).toEqual(['interrupt'])
})

test('? tells what the keys do until another one is pressed', () => {
  expect(footLines(typed('?').asking)).toHaveLength(2)
  expect(typed('?x').asking).toBe('nothing')
  expect(typed('?d').acts).toEqual(['detach'])
})

test('a terminal is as it was once nobody listens any more; elsewhere nobody listens', () => {
  const modes: boolean[] = []
  const keys: string[] = []
  const terminal = Object.assign(new EventEmitter(), {
    ...{ isTTY: true, setRawMode: (raw: boolean) => modes.push(raw) },
    ...{ resume: () => undefined, pause: () => undefined },
  })
  {
    using _listening = listenToKeys(terminal, (key) => keys.push(key))
    terminal.emit('data', Buffer.from('sy'))
    terminal.emit('data', Buffer.from('\x1b[A'))
  }
  terminal.emit('data', Buffer.from('d'))
  expect({ modes, keys }).toEqual({ modes: [true, false], keys: ['s', 'y'] })
  expect(listenToKeys({ ...terminal, isTTY: false }, () => undefined)).toBeUndefined()
})
