import { readFile } from 'node:fs/promises'
import type { KuboConfig } from '#coordinator/stores.ts'
import { authorizationOf } from '#storage/blobs/kubo-rpc.ts'
import { type Arguments, usage } from './arguments.ts'

export const KUBO_NETWORKS = ['private', 'public'] as const

/** The daemons that a coordinator is to use, with their keys: these come by files or variables, which no process list shows. */
export async function kuboOf(args: Arguments): Promise<KuboConfig | undefined> {
  const [url, apart] = [args.text('kubo'), args.text('kubo-private')]
  if (url === undefined) {
    if (apart === undefined) return undefined
    throw usage('no_kubo', '--kubo-private is for what is not public, and no --kubo takes what is', 'give both')
  }
  return {
    url,
    network: args.oneOf('kubo-network', KUBO_NETWORKS),
    authorization: await keyOf(args, 'kubo-key', 'CONSILIUM_KUBO_AUTHORIZATION'),
    ...(apart !== undefined && {
      apart: {
        url: apart,
        authorization: await keyOf(args, 'kubo-private-key', 'CONSILIUM_KUBO_PRIVATE_AUTHORIZATION'),
      },
    }),
  }
}

async function keyOf(args: Arguments, option: string, variable: string): Promise<string | undefined> {
  const file = args.text(option)
  const secret = file === undefined ? args.environment[variable] : await readFile(file, 'utf8')
  if (!secret) return undefined
  try {
    return authorizationOf(secret)
  } catch (cause) {
    throw usage(
      'bad_kubo_key',
      (cause as Error).message,
      `in ${file ?? variable}, as in the daemon's API.Authorizations`,
    )
  }
}
