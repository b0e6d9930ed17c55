import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'

/** Addresses that nobody else sees: both ends lie in namespaces of their own. */
export const NEAR_ADDRESS = '10.77.0.1'
const FAR_ADDRESS = '10.77.0.2'

/**
 * Two network namespaces and one bad wire between them. Nothing of the machine's own network is touched, and all of it is
 * gone with the two processes that hold the namespaces, which end with whoever opened them, however that ends.
 */
export class BadNetwork implements AsyncDisposable {
  readonly #near: ChildProcess
  readonly #far: ChildProcess

  private constructor(near: ChildProcess, far: ChildProcess) {
    this.#near = near
    this.#far = far
  }

  /** @returns it, or the reason why it cannot be had here */
  static async open({
    lossPercent,
    rate,
  }: {
    readonly lossPercent: number
    readonly rate: string
  }): Promise<BadNetwork | string> {
    await using opened = new AsyncDisposableStack()
    const [near, far] = [await namespace(), await namespace()]
    for (const one of [near, far]) if (typeof one !== 'string') opened.defer(() => ended(one))
    if (typeof near === 'string') return near
    if (typeof far === 'string') return far
    const network = new BadNetwork(near, far)
    const said =
      inside(near, `ip link add near type veth peer name far netns ${far.pid}`) ??
      inside(near, `ip addr add ${NEAR_ADDRESS}/30 dev near && ip link set near up`) ??
      inside(far, `ip addr add ${FAR_ADDRESS}/30 dev far && ip link set far up`) ??
      spoilt(near, 'near', lossPercent, rate) ??
      spoilt(far, 'far', lossPercent, rate)
    if (said !== undefined) return said
    opened.move()
    return network
  }

  /** What goes before a command that is to run at this end. It becomes the command, under the same process id. */
  through(end: 'near' | 'far'): readonly string[] {
    return through(end === 'near' ? this.#near : this.#far)
  }

  /** How many packets the wire has lost, both ways. */
  dropped(): number {
    const counts = [this.#near, this.#far].map((holder) => {
      const [command, ...rest] = [...through(holder), 'tc', '-s', 'qdisc', 'show']
      const shown = spawnSync(command as string, rest, { encoding: 'utf8' }).stdout
      return [...shown.matchAll(/dropped (\d+)/g)].reduce((most, [, count]) => Math.max(most, Number(count)), 0)
    })
    return counts.reduce((sum, count) => sum + count, 0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([ended(this.#near), ended(this.#far)])
  }
}

/** It lives as long as the process does, and that as long as its standard input. */
async function namespace(): Promise<ChildProcess | string> {
  const holder = spawn('unshare', ['--net', 'sh', '-c', 'ip link set lo up && echo up && exec cat'], {
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const errors = text(holder.stderr)
  const spawned = await once(holder, 'spawn').then(
    () => true,
    () => false,
  )
  if (!spawned) return 'there is no unshare here'
  for await (const line of createInterface(holder.stdout)) if (line === 'up') return holder
  return `no network namespace can be made here: ${(await errors).trim().split('\n')[0]}`
}

function through({ pid }: ChildProcess): readonly string[] {
  return ['nsenter', `--net=/proc/${pid}/ns/net`, '--']
}

/** @returns what went wrong */
function inside(holder: ChildProcess, script: string): string | undefined {
  const [command, ...rest] = [...through(holder), 'sh', '-ec', script]
  const { status, stderr } = spawnSync(command as string, rest, { encoding: 'utf8' })
  return status === 0 ? undefined : `${script.split(' ', 3).join(' ')}: ${stderr.trim().split('\n')[0]}`
}

/**
 * What leaves by this device goes at that rate, and so much of it nowhere. By netem, or where the kernel has none by a
 * filter that draws a random number for each packet (classic BPF) and a class of packets that go nowhere.
 */
function spoilt(holder: ChildProcess, device: string, lossPercent: number, rate: string): string | undefined {
  const root = `tc qdisc add dev ${device} root`
  const noNetem = inside(holder, `${root} netem loss ${lossPercent}% rate ${rate}`)
  if (noNetem === undefined) return undefined
  const lost = Math.round((lossPercent / 100) * 2 ** 32)
  // Load a random word; from `lost` on answer 0, no match; below it all ones, the filter's own class.
  const program = `4,32 0 0 ${2 ** 32 - 0x1000 + 56},53 0 1 ${lost},6 0 0 0,6 0 0 ${2 ** 32 - 1}`
  const noFilter = inside(
    holder,
    [
      `${root} handle 1: htb default 1`,
      `tc class add dev ${device} parent 1: classid 1:1 htb rate ${rate}`,
      `tc class add dev ${device} parent 1: classid 1:2 htb rate ${rate}`,
      `tc qdisc add dev ${device} parent 1:2 blackhole`,
      `tc filter add dev ${device} parent 1: protocol ip bpf bytecode '${program}' flowid 1:2`,
    ].join(' && '),
  )
  return noFilter === undefined ? undefined : `${noNetem}; and ${noFilter}`
}

async function ended(holder: ChildProcess): Promise<void> {
  if (holder.exitCode !== null || holder.signalCode !== null) return
  const over = once(holder, 'exit')
  holder.stdin?.end()
  await over
}
