import type { KuboConfig } from '#coordinator/stores.ts'
import { authorizationOf } from '#storage/blobs/kubo-authorization.ts'
import { readSecret } from '#storage/secret-file.ts'
import { type Arguments, usage } from './arguments.ts'

export const KUBO_NETWORKS = ['private', 'public'] as const

/** The daemons that a coordinator is to use, with their keys: these come by files or variables, which no process list shows. */
export async function kuboOf(args: Arguments): Promise<KuboConfig | undefined> {
  const [[url, ...others], apart] = [args.text('kubo')?.split(',') ?? [], args.text('kubo-private')]
  if (url === undefined) {
    if (apart === undefined) return undefined
    throw usage('no_kubo', '--kubo-private is for what is not public, and no --kubo takes what is', 'give both')
  }
  return {
    url,
    network: args.oneOf('kubo-network', KUBO_NETWORKS),
    spread: spreadOf(args, others),
    authorization: await keyOf(args, 'kubo-key', 'CONSILIUM_KUBO_AUTHORIZATION'),
    ...(apart !== undefined && {
      apart: {
        url: apart,
        authorization: await keyOf(args, 'kubo-private-key', 'CONSILIUM_KUBO_PRIVATE_AUTHORIZATION'),
      },
    }),
  }
}

function spreadOf(args: Arguments, others: readonly string[]): KuboConfig['spread'] {
  // The state folder is one, too.
  const stores = 2 + others.length
  if (args.text('kubo-quorum') !== undefined)
    return { others, quorum: args.integer('kubo-quorum', { min: 1, max: stores }) }
  if (others.length === 0) return undefined
  throw usage(
    'no_kubo_quorum',
    `several daemons and the state folder are ${stores} places, and nothing says how many must have a block`,
    `--kubo-quorum, from 1 to ${stores}`,
  )
}

async function keyOf(args: Arguments, option: string, variable: string): Promise<string | undefined> {
  const file = args.text(option)
  const secret = file === undefined ? args.environment[variable] : await secretIn(file)
  if (!secret) return undefined
  try {
    return authorizationOf(secret)
  } catch (cause) {
    const where = `in ${file ?? variable}, as in the daemon's API.Authorizations`
    throw usage('bad_kubo_key', (cause as Error).message, where)
  }
}

async function secretIn(file: string): Promise<string> {
  const secret = await readSecret(file)
  if (secret === undefined) throw usage('no_kubo_key', `there is no ${file}`)
  return new TextDecoder().decode(secret)
}
