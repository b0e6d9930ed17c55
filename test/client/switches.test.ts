import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { type Conduct, Supervision } from '#client/conduct.ts'
import { linuxPower, macPower, type Power, type PowerDoor, systemPower } from '#client/power.ts'
import { drain, forgetDrain, LOOK_MILLIS, openSwitches, pause, resume } from '#client/switches.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { temporaryFolder } from '#test/folder.ts'

async function watched(
  state: string,
  change: { stopFile?: string; power?: PowerDoor['ask']; everyMillis?: number } = {},
) {
  const clock = virtualClock(0)
  const supervision = new Supervision()
  const power = change.power && { ask: change.power, everyMillis: change.everyMillis ?? 4000 }
  const [told, unclear]: [Conduct['heldBack'][], string[]] = [[], []]
  const switches = await openSwitches(
    {
      ...{ state, stopFile: change.stopFile, power, unclear: (reason) => unclear.push(reason) },
      sleep: (millis, signal) => clock.wakeAt(clock.now() + millis, signal),
    },
    supervision,
  )
  supervision.watch(({ heldBack }) => told.push(heldBack))
  // A look takes no fake time, and as much real time as the disk wants: none is under way when a test goes on.
  const looks = change.power ? 2 : 1
  const pass = async (millis: number) => {
    for (let left = millis; left > 0; left -= LOOK_MILLIS) {
      await clock.advance(Math.min(left, LOOK_MILLIS))
      while (clock.waiting() < looks) await new Promise(setImmediate)
    }
  }
  const within = async (millis: number, heldBack: Conduct['heldBack']) => {
    await pass(millis)
    expect(supervision.conduct.heldBack).toBe(heldBack)
  }
  return { clock, supervision, told, unclear, pass, within, [Symbol.dispose]: () => switches[Symbol.dispose]() }
}

test('a switch is seen within a second, outlives the process that it was for, and is taken back', async () => {
  await using folder = await temporaryFolder()
  const { path: state } = folder
  {
    using node = await watched(state)
    expect(node.supervision.conduct.joins).toBe(true)
    await pause(state)
    await node.within(500, 'paused')
    await pause(state)
  }
  using node = await watched(state)
  expect(node.told).toEqual(['paused'])
  await drain(state)
  await node.within(500, 'draining')
  await resume(state)
  await node.within(500, undefined)
  await resume(state)
  expect(node.told).toEqual(['paused', 'draining', undefined])
  await drain(state)
  await forgetDrain(state)
  await node.pass(1000)
  expect(node.told).toHaveLength(3)
})

test('nothing is looked at any more once it is over', async () => {
  await using folder = await temporaryFolder()
  const node = await watched(folder.path, { power: async () => 'mains' })
  expect(node.clock.waiting()).toBe(2)
  node[Symbol.dispose]()
  await node.clock.advance(10_000)
  expect(node.clock.waiting()).toBe(0)
})

test('the stop file stops while it is there, whatever it is, and also where nobody may look for it', async () => {
  await using folder = await temporaryFolder()
  const place = join(folder.path, 'place')
  await mkdir(place)
  const stopFile = join(place, 'STOP')
  using node = await watched(folder.path, { stopFile })
  expect(node.told).toEqual([undefined])
  await writeFile(stopFile, '')
  await node.within(500, 'stopped')
  await rm(stopFile)
  await node.within(500, undefined)
  await symlink(join(place, 'nowhere'), stopFile)
  await node.within(500, 'stopped')
  await rm(place, { recursive: true })
  await node.within(500, undefined)
  expect(node.unclear).toEqual([])
  // A name that is too long for any file: nobody can say that it is not there.
  using other = await watched(folder.path, { stopFile: join(folder.path, 'x'.repeat(300)) })
  expect(other.told).toEqual(['stopped'])
  await other.pass(1000)
  expect(other.unclear).toEqual([expect.stringMatching(/^--stop-file: .*ENAMETOOLONG.*taken for a stop$/)])
})

test('where files tell the power, a battery is seen as soon as a switch is', async () => {
  await using folder = await temporaryFolder()
  let power: Power = 'mains'
  const { everyMillis } = systemPower('linux')
  using node = await watched(folder.path, { power: async () => power, everyMillis })
  expect(node.told).toEqual([undefined])
  power = 'battery'
  await node.within(LOOK_MILLIS, 'on-battery')
  power = 'mains'
  await node.within(LOOK_MILLIS, undefined)
})

test('where a process tells the power it is asked for every few seconds, and where it cannot be told the node goes on and says why', async () => {
  await using folder = await temporaryFolder()
  let asked = 0
  let power: Power | undefined = 'battery'
  using node = await watched(folder.path, {
    everyMillis: systemPower('darwin').everyMillis,
    async power() {
      asked++
      if (!power) throw new Error('nobody knows')
      return power
    },
  })
  expect(node.told).toEqual(['on-battery'])
  power = 'mains'
  await node.pass(3999)
  expect(asked).toBe(1)
  await node.within(1, undefined)
  power = undefined
  await node.pass(8000)
  expect(asked).toBe(4)
  expect(node.unclear).toEqual(['--stop-on-battery: nobody knows'])
  expect(node.supervision.conduct.joins).toBe(true)
})

test('Linux tells what the machine runs on by its supplies', async () => {
  await using folder = await temporaryFolder()
  let machines = 0
  const machine = async (supplies: Readonly<Record<string, Readonly<Record<string, string>>>>) => {
    const path = join(folder.path, `machine-${machines++}`)
    for (const [name, says] of Object.entries(supplies)) {
      await mkdir(join(path, name), { recursive: true })
      for (const [what, text] of Object.entries(says)) await writeFile(join(path, name, what), `${text}\n`)
    }
    return linuxPower(path)
  }
  const battery = (status: string) => ({ type: 'Battery', status })
  const adapter = (online: string, type = 'Mains') => ({ type, online })
  expect(await machine({ AC: adapter('0'), BAT0: battery('Discharging') })).toBe('battery')
  expect(await machine({ BAT0: battery('Discharging') })).toBe('battery')
  expect(await machine({ AC: adapter('1'), BAT0: battery('Charging') })).toBe('mains')
  expect(await machine({ AC: adapter('1'), BAT0: battery('Discharging') })).toBe('mains')
  expect(await machine({ BAT0: battery('Discharging'), ucsi: adapter('1', 'USB') })).toBe('mains')
  expect(await machine({ AC: adapter('0'), BAT0: battery('Full') })).toBe('mains')
  expect(await machine({ mouse: { ...battery('Discharging'), scope: 'Device' } })).toBe('mains')
  expect(await machine({ desktop: adapter('1') })).toBe('mains')
  await expect(linuxPower(join(folder.path, 'none'))).rejects.toThrow(/there is no .*containers/)
})

test('macOS tells it by pmset, and other systems do not', async () => {
  const battery = "Now drawing from 'Battery Power'\n -InternalBattery-0 (id=1)\t80%; discharging; 3:00 remaining\n"
  expect(macPower(battery)).toBe('battery')
  expect(macPower("Now drawing from 'AC Power'\n")).toBe('mains')
  expect(() => macPower('')).toThrow('does not say')
  await expect(systemPower('win32').ask()).rejects.toThrow('win32 does not tell')
})
