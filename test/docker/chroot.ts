import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { temporaryFolder } from '#test/folder.ts'
import { DOCKER } from './container.ts'
import { type Dockerfile, type Instruction, lastOf, readDockerfile, sentPaths, stageOf } from './dockerfile.ts'

const CONTEXT = join(DOCKER, '..')
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
/** What npm needs of the machine to reach its registry. */
const NPM = /^(npm_config_|https?_proxy|no_proxy|node_extra_ca_certs|ssl_cert)/i

/** How a service is run: what Docker makes of its part of a compose file. */
export type Contained = {
  readonly target: string
  readonly environment: Readonly<Record<string, string>>
  /** Files and folders of this machine, by where they are in there. */
  readonly mounts: readonly { readonly from: string; readonly to: string; readonly writable: boolean }[]
  /** As a compose file writes them: `/tmp:size=64m,…`. */
  readonly tmpfs: readonly string[]
}

/** Both run a program under its own process id. */
export type Container = {
  /** By the image's entry, as `docker run` does. */
  run(args: readonly string[]): ChildProcess
  /** As `docker exec` and HEALTHCHECK do. */
  exec(args: readonly string[]): ChildProcess
}

/**
 * What the Dockerfile does, without Docker: each instruction in a chroot of its own, over this machine's files instead of the
 * base image's, with the Node that is tested put where the image has it. Containers are chroots that nobody can write, as
 * another user, without capabilities, in a network that has nothing but loopback. Everything lies in memory, and is gone with
 * the process that holds the namespaces.
 */
export class Chroots implements AsyncDisposable {
  readonly #holder: ChildProcess
  readonly #dockerfile: Dockerfile = readDockerfile()
  readonly #scope: AsyncDisposableStack
  readonly #made = new Map<string, readonly string[]>()
  readonly #folder: string
  #containers = 0

  private constructor(holder: ChildProcess, folder: string, scope: AsyncDisposableStack) {
    this.#holder = holder
    this.#folder = folder
    this.#scope = scope
  }

  /** @returns it, or why it cannot be had here */
  static async open(): Promise<Chroots | string> {
    if (process.getuid?.() !== 0) return 'only root may make them'
    await using scope = new AsyncDisposableStack()
    const { path: folder } = scope.use(await temporaryFolder())
    const script = `ip link set lo up && mount -t tmpfs -o size=3g,mode=755 tmpfs ${folder} && echo up && exec cat`
    const holder = spawn('unshare', ['--mount', '--net', '--propagation', 'private', 'sh', '-c', script], {
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    const errors = text(holder.stderr)
    const spawned = await once(holder, 'spawn').then(
      () => true,
      () => false,
    )
    if (!spawned) return 'there is no unshare here'
    scope.defer(async () => {
      const over = once(holder, 'exit')
      holder.stdin.end()
      if (holder.exitCode === null) await over
    })
    let up = false
    for await (const line of createInterface(holder.stdout)) {
      up = line === 'up'
      break
    }
    if (!up) return `no namespaces can be made here: ${(await errors).trim().split('\n')[0]}`
    const chroots = new Chroots(holder, folder, scope.move())
    const said = chroots.#layBase()
    if (said === undefined) return chroots
    await chroots[Symbol.asyncDispose]()
    return said
  }

  /** Does what the Dockerfile says up to this target. Throws with what a step said where it failed. */
  build(target: string): readonly string[] {
    const known = this.#made.get(target)
    if (known) return known
    const { from, instructions } = stageOf(this.#dockerfile, target)
    const below = from === this.#dockerfile.base ? ['base'] : this.build(from)
    for (const { flags } of instructions)
      for (const flag of flags) if (flag.startsWith('--from=')) this.build(flag.slice('--from='.length))
    const root = this.#root(target)
    this.#sh(`mkdir -p ${this.#at(target)}/upper ${this.#at(target)}/work ${root}`)
    this.#sh(
      `mount -t overlay overlay -o lowerdir=${this.#lower(below)},upperdir=${this.#at(target)}/upper,workdir=${this.#at(target)}/work ${root}
       mount --rbind /proc ${root}/proc; mount --rbind /dev ${root}/dev`,
    )
    let folder = '/'
    for (const instruction of instructions) {
      if (instruction.name === 'WORKDIR') {
        folder = instruction.rest
        this.#sh(`mkdir -p ${root}${folder}`)
      } else if (instruction.name === 'COPY') this.#copy(instruction, root, folder)
      else if (instruction.name === 'RUN') this.#run(target, instruction.rest, folder)
    }
    const layers = [target, ...below]
    this.#made.set(target, layers)
    return layers
  }

  /** A container of an image that was built. */
  container({ target, environment, mounts, tmpfs }: Contained): Container {
    const name = `container-${this.#containers++}`
    const root = this.#root(name)
    const places = mounts.map(({ from, to }) => {
      const isFolder = spawnSync('test', ['-d', from]).status === 0
      return isFolder ? `mkdir -p ${this.#at(name)}/upper${to}` : `install -D /dev/null ${this.#at(name)}/upper${to}`
    })
    this.#sh([`mkdir -p ${this.#at(name)}/upper ${root}`, ...places].join('\n'))
    // Without a layer to write to: read-only as Docker's.
    this.#sh(`mount -t overlay overlay -o lowerdir=${this.#lower([name, ...this.build(target)])} ${root}`)
    this.#sh(
      [
        ...['proc', 'dev'].map((one) => `mount --rbind /${one} ${root}/${one}`),
        ...tmpfs.map((one) => {
          const [to, options] = one.split(':')
          return `mount -t tmpfs -o ${options} tmpfs ${root}${to}`
        }),
        ...mounts.flatMap(({ from, to, writable }) => [
          `mount --bind ${from} ${root}${to}`,
          ...(writable ? [] : [`mount -o remount,bind,ro ${root}${to}`]),
        ]),
      ].join('\n'),
    )
    const [uid, gid] = lastOf(this.#dockerfile, target, 'USER')?.split(':') ?? []
    // A user that /etc/passwd does not have is at home there, as runc has it.
    const env = { PATH, HOME: '/', ...pairs(lastOf(this.#dockerfile, target, 'ENV') ?? ''), ...environment }
    const become = ['setpriv', '--reuid', `${uid}`, '--regid', `${gid}`, '--clear-groups', '--no-new-privs']
    const drop = ['--bounding-set=-all', '--inh-caps=-all']
    const cd = ['sh', '-c', `cd ${lastOf(this.#dockerfile, target, 'WORKDIR')} && exec "$@"`, 'sh']
    const entry = JSON.parse(lastOf(this.#dockerfile, target, 'ENTRYPOINT') ?? '[]') as readonly string[]
    const exec = (args: readonly string[]) => {
      const words = [...this.#through(['mount', 'net']), 'chroot', root, ...become, ...drop, ...cd, ...args]
      return spawn(words[0] as string, words.slice(1), { env, stdio: 'pipe' })
    }
    return { exec, run: (args) => exec([...entry, ...args]) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope.disposeAsync()
  }

  /** The base image's Node and npm, of the versions that are here, where it has them. */
  #layBase(): string | undefined {
    const npm = spawnSync('npm', ['root', '--global'], { encoding: 'utf8' }).stdout.trim()
    const local = `${this.#at('base')}/upper/usr/local`
    return this.#try(
      `mkdir -p ${local}/bin ${local}/lib/node_modules
       cp ${process.execPath} ${local}/bin/node
       cp -a ${npm}/npm ${local}/lib/node_modules/npm
       for one in npm npx; do ln -s ../lib/node_modules/npm/bin/$one-cli.js ${local}/bin/$one; done
       mkdir -p ${this.#at('probe')}/upper ${this.#root('probe')}
       mount -t overlay overlay -o lowerdir=${this.#lower(['base'])} ${this.#root('probe')}`,
    )
  }

  #run(target: string, command: string, folder: string): void {
    const root = this.#root(target)
    // The development dependencies are those that are tested, as they lie here: to fetch them again would say nothing new.
    if (/^npm ci (?!--omit=dev)/.test(command)) {
      const here = realpathSync(join(CONTEXT, 'node_modules'))
      return this.#sh(`mkdir -p ${root}${folder}/node_modules && mount --bind ${here} ${root}${folder}/node_modules`)
    }
    const passed = Object.entries(process.env).filter(([name]) => NPM.test(name))
    const env = { PATH, HOME: '/root', npm_config_prefer_offline: 'true', ...Object.fromEntries(passed) }
    const script = `cd ${folder}\n${command}`
    const words = [...this.#through(['mount']), 'chroot', root, '/bin/sh', '-ec', script]
    const { status, stderr, stdout } = spawnSync(words[0] as string, words.slice(1), { encoding: 'utf8', env })
    if (status !== 0) throw new Error(`${target}: ${command}\n${(stdout + stderr).slice(-2000)}`)
  }

  #copy({ flags, rest }: Instruction, root: string, folder: string): void {
    const words = rest.split(/\s+/)
    const to = words.pop() ?? ''
    const into = `${root}${to.startsWith('/') ? to : join(folder, to)}`
    const flag = (name: string) => flags.find((one) => one.startsWith(`--${name}=`))?.split('=')[1]
    const from = flag('from')
    const sources = words.length === 1 && words[0] === '.' ? sentPaths() : words
    for (const source of sources) {
      const path = from ? `${this.#root(from)}${source}` : join(CONTEXT, source)
      // A folder's contents are copied, and whatever is sent keeps its place.
      const place = sources === words ? into : join(into, source)
      this.#sh(
        `if [ -d ${path} ]; then mkdir -p ${place}; cp -a ${path}/. ${place}/
         else mkdir -p ${sources === words ? place : dirname(place)}; cp -a ${path} ${place}; fi`,
      )
      if (flag('chmod')) this.#sh(`chmod ${flag('chmod')} ${into}/$(basename ${source})`)
    }
  }

  #at(name: string): string {
    return join(this.#folder, name)
  }
  #root(name: string): string {
    return join(this.#folder, name, 'root')
  }
  #lower(layers: readonly string[]): string {
    return [...layers.map((layer) => `${this.#at(layer)}/upper`), '/'].join(':')
  }
  #through(namespaces: readonly string[]): readonly string[] {
    return ['nsenter', ...namespaces.map((kind) => `--${kind}=/proc/${this.#holder.pid}/ns/${SHORT[kind]}`), '--']
  }

  #sh(script: string): void {
    const said = this.#try(script)
    if (said !== undefined) throw new Error(`${script}\n${said}`)
  }

  /** @returns what went wrong */
  #try(script: string): string | undefined {
    const [command, ...rest] = [...this.#through(['mount']), 'sh', '-ec', script]
    const { status, stderr } = spawnSync(command as string, rest, { encoding: 'utf8' })
    return status === 0 ? undefined : stderr.trim().slice(-500)
  }
}

const SHORT: Readonly<Record<string, string>> = { mount: 'mnt', net: 'net' }

/** `A=1 B=2`, as ENV has them. */
function pairs(line: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    line
      .split(/\s+/)
      .filter(Boolean)
      .map((pair) => pair.split(/=(.*)/s).slice(0, 2)),
  )
}
