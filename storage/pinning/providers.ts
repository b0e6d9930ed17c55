import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import { readSecret } from '../secret-file.ts'
import { checkedBase, tokenFault } from './service.ts'

/** Where a coordinator pins what it publishes, and with what it shows that it may. */
export type ProviderProfile = {
  readonly name: string
  readonly url: string
  readonly token: string
  /** Its queue takes hours. */
  readonly slow: boolean
}

const PROFILES_MAX = 16
const profilesSchema = z.strictObject({
  providers: z
    .array(
      z.strictObject({
        name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'a-z, 0-9 and -, at most 32 characters'),
        url: z.string().max(2000),
        /** Never the token itself: such files are copied, shown and committed. */
        token: z.union([
          z.strictObject({ env: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,99}$/) }),
          z.strictObject({ file: z.string().min(1).max(1000) }),
        ]),
        quirks: z.strictObject({ slowQueue: z.boolean().default(false) }).prefault({}),
      }),
    )
    .min(1)
    .max(PROFILES_MAX),
})

/** Reads the operator's list of providers, and their tokens from where it says. Throws on what cannot be used, and names no token. */
export async function readProviders(
  file: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<readonly ProviderProfile[]> {
  const list = profilesSchema.safeParse(parseJson(await readFile(file, 'utf8')))
  if (!list.success) throw new TypeError(`${file}: ${z.prettifyError(list.error)}`)
  const names = new Set(list.data.providers.map(({ name }) => name))
  if (names.size !== list.data.providers.length) throw new TypeError(`${file}: two providers have one name`)
  const profiles: ProviderProfile[] = []
  for (const { name, url, token, quirks } of list.data.providers) {
    const wrong = (what: string) => new TypeError(`${file}: ${name}: ${what}`)
    const text = 'env' in token ? environment[token.env] : await tokenIn(resolve(dirname(file), token.file))
    const where = 'env' in token ? `the variable ${token.env}` : token.file
    if (text === undefined || text === '') throw wrong(`${where} holds no token`)
    const fault = tokenFault(text)
    if (fault) throw wrong(`${where}: ${fault}`)
    profiles.push({ name, url: checkedBase(url), token: text, slow: quirks.slowQueue })
  }
  return profiles
}

async function tokenIn(path: string): Promise<string | undefined> {
  const secret = await readSecret(path)
  return secret && new TextDecoder().decode(secret).trim()
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
