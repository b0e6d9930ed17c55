import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { chown } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'yaml'
import type { Contained } from './chroot.ts'

type Service = {
  readonly build: { readonly target: string }
  readonly environment: Readonly<Record<string, string>>
  readonly env_file: readonly { readonly path: string; readonly required: boolean }[]
  readonly volumes: readonly string[]
  readonly secrets: readonly string[]
  readonly tmpfs: readonly string[]
  readonly read_only: boolean
  readonly cap_drop: readonly string[]
}
type Compose = {
  readonly services: Readonly<Record<string, Service>>
  readonly secrets: Readonly<Record<string, { readonly file: string }>>
}

/**
 * What a service of a compose file is given: its environment, its volumes and secrets.
 *
 * @param folder where the compose file, its secrets and its data are; volumes are made beside them
 * @param variables what `.env` would say
 */
export async function serviceOf(
  folder: string,
  {
    file,
    name,
    variables,
    user,
  }: {
    readonly file: string
    readonly name: string
    readonly variables: Readonly<Record<string, string>>
    readonly user: number
  },
): Promise<Contained> {
  const { services, secrets } = parse(interpolate(readFileSync(join(folder, file), 'utf8'), variables), {
    merge: true,
  }) as Compose
  const service = services[name] as Service
  if (!service.read_only || service.cap_drop.join() !== 'ALL')
    throw new Error(`${name} may do more than a chroot lets it`)
  const volumes = service.volumes.map((volume) => {
    const [source = '', to = '', mode] = volume.split(':')
    const from = source.startsWith('.') ? join(folder, source) : join(folder, 'volumes', source)
    return { from, to, writable: mode !== 'ro' }
  })
  for (const { from } of volumes)
    if (!existsSync(from)) {
      mkdirSync(from, { recursive: true, mode: 0o700 })
      // As Docker does with a new volume: it belongs to whom the image's folder belongs.
      await chown(from, user, user)
    }
  const files = service.secrets.map((secret) => ({
    ...{ from: join(folder, secrets[secret]?.file ?? ''), to: `/run/secrets/${secret}`, writable: false },
  }))
  return {
    target: service.build.target,
    environment: { ...(await envFiles(folder, service)), ...service.environment },
    mounts: [...volumes, ...files],
    tmpfs: service.tmpfs,
  }
}

async function envFiles(folder: string, { env_file }: Service): Promise<Readonly<Record<string, string>>> {
  const lines = env_file
    .map(({ path }) => join(folder, path))
    .filter((path) => existsSync(path))
    .flatMap((path) => readFileSync(path, 'utf8').split('\n'))
  return Object.fromEntries(lines.filter(Boolean).map((line) => line.split(/=(.*)/s).slice(0, 2)))
}

/** `${NAME:-otherwise}` and `${NAME:?why}` */
function interpolate(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replace(/\$\{(\w+):([-?])([^}]*)\}/g, (_, name: string, how: string, rest: string) => {
    const value = variables[name]
    if (value) return value
    if (how === '-') return rest
    throw new Error(`${name}: ${rest}`)
  })
}
