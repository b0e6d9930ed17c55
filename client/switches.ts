import { lstat, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Millis } from '#protocol/ids.ts'
import type { Supervision } from './conduct.ts'
import type { PowerDoor } from './power.ts'
import { reasonOf } from './progress.ts'

/** By what a node is paused and drained: files, since they need no port, outlive a restart, and everybody can make one. */
const PAUSED = 'paused'
const DRAIN = 'drain'

/** Whoever makes a file waits so long at most until it is seen, and what follows has the rest of a second. */
export const LOOK_MILLIS: Millis = 250

/** @param state the node's folder, whether it runs or not */
export async function pause(state: string): Promise<void> {
  await writeFile(join(state, PAUSED), '', { mode: 0o600 })
}

/** It is to end when its seat is done. */
export async function drain(state: string): Promise<void> {
  await writeFile(join(state, DRAIN), '', { mode: 0o600 })
}

/** Neither paused nor drained any more. */
export async function resume(state: string): Promise<void> {
  await rm(join(state, PAUSED), { force: true })
  await forgetDrain(state)
}

/** A drain is for the process that runs, and not for the next one. */
export async function forgetDrain(state: string): Promise<void> {
  await rm(join(state, DRAIN), { force: true })
}

export type SwitchesDoors = {
  /** The node's folder. */
  readonly state: string
  /** While it exists everything stops. */
  readonly stopFile: string | undefined
  /** Absent where a battery is as good as anything. */
  readonly power: PowerDoor | undefined
  /** Hears why something cannot be told, each reason once in a row. */
  readonly unclear: (reason: string) => void
  /** By a clock that nobody sets: an emergency does not wait for the time of day. */
  readonly sleep: (millis: Millis, signal: AbortSignal) => Promise<void>
}

/** Looks at the switches and at the power again and again, and tells what they say: the first time before it answers. */
export async function openSwitches(doors: SwitchesDoors, supervision: Supervision): Promise<Disposable> {
  const { state, stopFile, power, sleep } = doors
  const stop = new AbortController()
  const unclear = onceInARow(doors.unclear)
  const lookAtFiles = async () => {
    const [paused, draining] = await Promise.all([isIn(state, PAUSED), isIn(state, DRAIN)])
    supervision.change({ paused, draining, stopped: stopFile !== undefined && (await isStopped(stopFile, unclear)) })
  }
  const lookAtPower = async ({ ask }: PowerDoor) => {
    const said = await ask().catch((cause: unknown) => unclear(`--stop-on-battery: ${reasonOf(cause)}`))
    // Where it cannot be told the node goes on: whoever stopped for ever on such a machine could never train there.
    supervision.change({ onBattery: said === 'battery' })
  }
  const again = async (look: () => Promise<void>, millis: Millis) => {
    while (!stop.signal.aborted) {
      await sleep(millis, stop.signal).catch(() => undefined)
      if (!stop.signal.aborted) await look()
    }
  }
  await lookAtFiles()
  void again(lookAtFiles, LOOK_MILLIS)
  if (power) {
    await lookAtPower(power)
    void again(() => lookAtPower(power), power.everyMillis)
  }
  return { [Symbol.dispose]: () => stop.abort() }
}

/** The folder is the node's own: what is not found there is not there. */
function isIn(state: string, name: string): Promise<boolean> {
  return lstat(join(state, name)).then(
    () => true,
    () => false,
  )
}

/** A file that nobody can look for may be there. */
async function isStopped(file: string, unclear: (reason: string) => void): Promise<boolean> {
  try {
    await lstat(file)
    return true
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return false
    unclear(`--stop-file: ${reasonOf(cause)}, taken for a stop`)
    return true
  }
}

function onceInARow(tell: (reason: string) => void): (reason: string) => void {
  let last = ''
  return (reason) => {
    if (reason !== last) tell(reason)
    last = reason
  }
}
