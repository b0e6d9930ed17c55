import { readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { readCsvFile } from '#client/data/csv-file.ts'
import { DataFault } from '#client/data/fault.ts'
import { contractOf, profileOf } from '#client/data/profile.ts'
import type { Bytes } from '#protocol/ids.ts'
import { WEIGHT_MAX } from '#protocol/limits.ts'
import { demoSplitSeed } from '#protocol/seeds.ts'
import type { TableContract } from '#protocol/task.ts'
import { leastOf, readDigits, writeDigits } from '../digits.ts'
import { EXIT, Failure } from '../failure.ts'
import { makeSite, type Site } from './federation.ts'
import type { Predicted } from './options.ts'

/** Sites that own handwritten digits, dealt unevenly: what one site sees often, another has hardly seen. */
export async function digitSites(folder: string, count: number, seed: Bytes): Promise<readonly Site[]> {
  const made = await Promise.all(siteNumbers(count).map((site) => makeSite(join(folder, `site-${site}`), site, seed)))
  const split = { alpha: 0.5, minimum: leastOf(count), seed: demoSplitSeed(seed) }
  const data = await writeDigits(
    await readDigits(),
    made.map((site) => site.folder),
    split,
  )
  return made.map((site, index) => ({ ...site, data: data[index] as Site['data'] }))
}

/** Sites that own one CSV file each, in the order of the files' names, and the contract that all of them can keep. */
export async function tableSites(
  folder: string,
  source: string,
  label: Predicted,
  classes: number | undefined,
  seed: Bytes,
): Promise<{ readonly sites: readonly Site[]; readonly contract: TableContract }> {
  const { paths, contract } = await tables(source, label, classes)
  const sites = await Promise.all(
    paths.map(async (path, index): Promise<Site> => {
      const site = index + 1
      return { ...(await makeSite(join(folder, `site-${site}`), site, seed)), data: { kind: 'csv', path } }
    }),
  )
  return { sites, contract }
}

/** One CSV file a site, and the contract that all of them can keep. */
export async function tables(
  source: string,
  label: Predicted,
  classes: number | undefined,
): Promise<{ readonly paths: readonly string[]; readonly contract: TableContract }> {
  const paths = await tablePaths(source)
  // Each site's public profile, as its node would tell it: names, kinds and levels, no rows.
  const profiles = await Promise.all(paths.map(async (path) => profileOf(await readCsvFile(path)))).catch(
    (cause: unknown) => {
      throw cause instanceof DataFault ? new Failure(EXIT.data, 'bad_data', cause.message, { cause }) : cause
    },
  )
  const rowsMax = Math.min(WEIGHT_MAX, 2 * Math.max(...profiles.map(({ rowsAtLeast }) => rowsAtLeast), 1))
  const contract = contractOf(profiles, label, classes === undefined ? { rowsMax } : { rowsMax, classes })
  if (!contract.ok)
    throw new Failure(EXIT.data, contract.refusal.replaceAll('-', '_'), contract.detail ?? contract.refusal)
  return { paths, contract: contract.value }
}

/** One CSV file a site, in the order of their names. */
export async function tablePaths(source: string): Promise<readonly string[]> {
  const files = (await namesIn(source)).filter((name) => name.toLowerCase().endsWith('.csv')).sort()
  if (files.length < 2)
    throw new Failure(EXIT.data, 'too_few_sites', `${source} holds ${files.length} CSV files, at least 2 are needed`, {
      fix: 'put one CSV file for each site into the folder',
    })
  return files.map((name) => resolve(source, name))
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause
    throw new Failure(EXIT.notFound, 'not_found', `there is no ${folder}`, {
      fix: 'name a folder with one CSV file for each site; in a folder of consilium create, node data.ts makes one',
      cause,
    })
  }
}

function siteNumbers(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index + 1)
}
