import type { Cid, Round } from '#protocol/ids.ts'
import { seatListSchema } from '#protocol/manifest.ts'
import { Blocks } from '#verify/blocks.ts'
import type { Bundle } from '#verify/bundle.ts'
import { usage } from './arguments.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { openBundle, readWhole } from './record-source.ts'
import { formatBytes } from './render/units.ts'

/** What a record says, by name. */
type Facts = ReadonlyMap<string, string>
/** What is said of one thing in each of the two; null where nothing is. */
type Difference = { readonly what: string; readonly a: string | null; readonly b: string | null }

/** `consilium bundles diff`: whether two bundles are of one record, and else what the records differ in. Exits as diff does. */
export async function execute({ args, output }: Call): Promise<number> {
  const [pathA, pathB] = args.positionals
  if (pathA === undefined || pathB === undefined)
    throw usage('missing_argument', 'bundles diff needs two bundles', 'consilium bundles diff a.car b.car')
  await using fileA = await openBundle(pathA)
  await using fileB = await openBundle(pathB)
  const [a, b] = [await readWhole(fileA.file), await readWhole(fileB.file)]
  const same = a.root === b.root
  const differences = same ? [] : await compare(a, b)
  const only = { a: onlyIn(a, b), b: onlyIn(b, a) }
  if (output.json) {
    const side = ({ root, kind, form }: Bundle) => ({ root, kind, vectors: form.vectors })
    output.object({ same, a: side(a), b: side(b), differences, only })
  } else {
    output.line(same ? `the same record  ${a.root}` : 'not the same record')
    for (const { what, a: left, b: right } of differences)
      output.line(`${what}\n  a  ${left ?? '-'}\n  b  ${right ?? '-'}`)
    for (const [name, { form }] of Object.entries({ a, b })) if (!form.vectors) output.line(`${name} has no vectors`)
    for (const [name, { blocks, bytes }] of Object.entries(only))
      if (blocks > 0) output.line(`only in ${name}  ${blocks} blocks, ${formatBytes(bytes)}`)
  }
  return same ? EXIT.ok : EXIT.differ
}

function onlyIn(one: Bundle, other: Bundle): { readonly blocks: number; readonly bytes: number } {
  const there = new Set<Cid>()
  for (const [cid] of other.cids()) there.add(cid)
  let [blocks, bytes] = [0, 0]
  for (const [cid, sizeBytes] of one.cids()) {
    if (there.has(cid)) continue
    blocks += 1
    bytes += sizeBytes
  }
  return { blocks, bytes }
}

/** Of rounds the first that differs is told in detail: what comes after it follows from it. */
async function compare(a: Bundle, b: Bundle): Promise<readonly Difference[]> {
  const [left, right] = [await outlineOf(a), await outlineOf(b)]
  const numbers = [...new Set([...left.rounds.keys(), ...right.rounds.keys()])].toSorted((one, other) => one - other)
  // A round and a run: no more than that one round can be compared.
  const comparable =
    a.kind === 'run' && b.kind === 'run' ? numbers : numbers.filter((n) => left.rounds.has(n) && right.rounds.has(n))
  const differing = comparable.filter((round) => left.rounds.get(round) !== right.rounds.get(round))
  const [first] = differing
  const told = differencesIn(left.facts, right.facts)
  if (first === undefined) return told
  const [one, other] = [
    await roundFacts(a, first, left.rounds.get(first)),
    await roundFacts(b, first, right.rounds.get(first)),
  ]
  return [...told, ...differencesIn(one, other)]
}

function differencesIn(a: Facts, b: Facts): readonly Difference[] {
  return [...new Set([...a.keys(), ...b.keys()])].flatMap((what) => {
    const [left, right] = [a.get(what) ?? null, b.get(what) ?? null]
    return left === right ? [] : [{ what, a: left, b: right }]
  })
}

type Outline = { readonly facts: Facts; readonly rounds: ReadonlyMap<Round, Cid> }

/** What its root says, as far as that can be read: a bundle need not hold to be compared. */
async function outlineOf({ root, kind, block }: Bundle): Promise<Outline> {
  const blocks = new Blocks(block)
  if (kind === 'run') {
    const read = await blocks.signed(root, 'run')
    if (read.ok) {
      const { rounds, evaluation, ...run } = read.value.value
      const facts = factsOf('', { kind, ...run, evaluation: JSON.stringify(evaluation), rounds: rounds.length })
      return { facts, rounds: new Map(rounds.map((entry) => [entry.round, (entry.manifest ?? entry.aborted) as Cid])) }
    }
  }
  if (kind === 'round' || kind === 'aborted') {
    const read = await blocks.signed(root, kind)
    if (read.ok) {
      const { run, round } = read.value.value
      return { facts: factsOf('', { kind, run, coordinator: read.value.from }), rounds: new Map([[round, root]]) }
    }
  }
  return { facts: factsOf('', { kind, root }), rounds: new Map() }
}

async function roundFacts({ block }: Bundle, round: Round, cid: Cid | undefined): Promise<Facts> {
  const name = `round ${round}`
  if (cid === undefined) return new Map()
  const blocks = new Blocks(block)
  const closed = await blocks.signed(cid, 'round')
  if (closed.ok) {
    const { seats, session, evaluation, ...manifest } = closed.value.value
    const list = await blocks.read(seats, seatListSchema)
    const told = {
      outcome: 'closed',
      ...manifest,
      session: session?.roster ?? null,
      evaluation: JSON.stringify(evaluation),
    }
    return new Map([...factsOf(name, told), ...seatFacts(name, list.ok ? list.value : [])])
  }
  const aborted = await blocks.signed(cid, 'aborted')
  if (!aborted.ok) return factsOf(name, { record: cid })
  const { seats, ...record } = aborted.value.value
  return new Map([...factsOf(name, { outcome: 'aborted', ...record }), ...seatFacts(name, seats)])
}

type Seats = readonly { readonly node: string; readonly update: string | null; readonly reason: string | null }[]

function seatFacts(round: string, seats: Seats): Facts {
  return new Map(
    seats.map(({ node, update, reason }) => [`${round}, ${node}`, update ?? `no update: ${reason}`] as const),
  )
}

function factsOf(of: string, values: Readonly<Record<string, unknown>>): Facts {
  return new Map(
    Object.entries(values).map(([name, value]) => [of === '' ? name : `${of}, ${name}`, String(value)] as const),
  )
}
