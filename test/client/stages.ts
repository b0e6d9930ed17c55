import { expect } from '@jest/globals'
import type { Said } from '#aggregation/secagg/messages.ts'
import type { Sharing } from '#aggregation/secagg/session.ts'
import type { Signed } from '#protocol/envelope.ts'
import { unseal } from '#protocol/envelope.ts'
import type { Bench, SaidFrame } from './bench.ts'
import type { Host } from './host.ts'

/** An honest session of all seats, stage by stage: each one answers what the next needs. */
export type Dealt = { readonly roster: Said<'Roster'> }
export type Agreed = Dealt & { readonly shared: Said<'Shared'>; readonly sharing: Sharing }
export type Surveyed = Agreed & { readonly survivors: Said<'Survivors'> }
export type Certified = Surveyed & { readonly certificate: Said<'QuorumCert'> }

/** Everybody has dealt its keys. */
export async function dealt(host: Host): Promise<Dealt> {
  await host.open()
  await host.join()
  const roster = await host.roster()
  await host.deal(roster)
  return { roster }
}

/** Everybody has agreed, and trained; nobody was told to mask. */
export async function agreed(host: Host): Promise<Agreed> {
  const { roster } = await dealt(host)
  const shared = await host.shared(roster)
  for (const seat of host.seats) host.share(seat, shared)
  for (const seat of host.seats) expect((await host.hear(seat, 'agree')).message.shared).toBe(shared.cid)
  return { roster, shared, sharing: host.sharing(roster, shared) }
}

/** Every input is in. */
export async function submitted(host: Host): Promise<Agreed> {
  const before = await agreed(host)
  for (const seat of host.seats) host.mask(seat, before.shared)
  for (const seat of host.seats) await host.submitted(seat)
  return before
}

/** Everybody has confirmed the set of all. */
export async function confirmed(host: Host): Promise<Certified> {
  const before = await submitted(host)
  const survivors = await host.survivors(before.sharing)
  for (const seat of host.seats) host.survey(seat, survivors)
  for (const seat of host.seats) await host.confirmed(seat)
  return { ...before, survivors, certificate: await host.certificate(before.sharing, survivors) }
}

/** Everybody has given what takes the masks off. */
export async function unmasked(host: Host): Promise<Certified> {
  const before = await confirmed(host)
  for (const seat of host.seats) host.certify(seat, before.survivors, before.certificate)
  for (const seat of host.seats) await host.unmasked(seat)
  return before
}

/** Until nothing more happens by itself. */
export function quiet(host: Host): Promise<void> {
  return host.clock.advance(0)
}

/** What a node has said and nobody has read yet. */
export async function rest(host: Host, seat: number): Promise<readonly SaidFrame[]> {
  await quiet(host)
  const frames: SaidFrame[] = []
  while (host.node(seat).unread > 0) frames.push(await host.node(seat).frame())
  return frames
}

export async function kindsLeft(host: Host, seat: number): Promise<readonly string[]> {
  return (await rest(host, seat)).map(({ message }) => message.kind)
}

/** What the operator was told of this kind. */
export function told(node: Bench, kind: string): readonly string[] {
  return node.progress.filter((made) => made.kind === kind).map((made) => ('reason' in made ? made.reason : kind))
}

/** Every message of the session that a frame carries. */
export async function signedIn({ heard }: SaidFrame): Promise<readonly Signed[]> {
  const found: Signed[] = []
  for (const { bytes } of heard.attached) {
    const body = async (cid: string) => heard.attached.find((block) => block.cid === cid)?.bytes ?? new Uint8Array(0)
    const signed = await unseal(bytes, body)
    if (signed.ok) found.push(signed.value)
  }
  return found
}
