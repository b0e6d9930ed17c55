import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DOCKER } from './container.ts'

export type Instruction = { readonly name: string; readonly flags: readonly string[]; readonly rest: string }
export type Stage = { readonly name: string; readonly from: string; readonly instructions: readonly Instruction[] }
export type Dockerfile = { readonly base: string; readonly stages: readonly Stage[] }

/** The stages of the Dockerfile, and what is said before the first. */
export function readDockerfile(): Dockerfile {
  const lines = readFileSync(join(DOCKER, 'Dockerfile'), 'utf8')
    .replace(/^#.*\n/gm, '')
    .replaceAll('\\\n', ' ')
    .split('\n')
  let base = ''
  const stages: (Stage & { instructions: Instruction[] })[] = []
  for (const line of lines.filter((text) => text.trim() !== '')) {
    const [, name = '', flags = '', rest = ''] = /^(\w+)((?:\s+--\S+)*)\s+(.*)$/.exec(line) ?? []
    const [, from = '', as = ''] = name === 'FROM' ? (/^(\S+) AS (\S+)$/.exec(rest) ?? []) : []
    if (name === 'FROM') stages.push({ name: as, from: from.replace(/^\$\{NODE_IMAGE\}$/, base), instructions: [] })
    else if (stages.length === 0) base = rest.replace('NODE_IMAGE=', '')
    else stages.at(-1)?.instructions.push({ name, flags: flags.split(/\s+/).filter(Boolean), rest: rest.trim() })
  }
  return { base, stages }
}

export function stageOf({ stages }: Dockerfile, name: string): Stage {
  return stages.find((other) => other.name === name) as Stage
}

/** What a target is told last, by itself or by a stage that it is made from. */
export function lastOf(of: Dockerfile, target: string, name: string): string | undefined {
  const { from, instructions } = stageOf(of, target)
  const own = instructions.findLast((instruction) => instruction.name === name)?.rest
  return own ?? (from === of.base ? undefined : lastOf(of, from, name))
}

/** What of a clone is sent to the builder. */
export function sentPaths(): readonly string[] {
  const [first, ...rules] = readFileSync(join(DOCKER, '../.dockerignore'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
  if (first !== '*' || !rules.every((rule) => rule.startsWith('!')))
    throw new Error('.dockerignore leaves out whatever it does not name')
  return rules.map((rule) => rule.replace(/^!/, ''))
}
