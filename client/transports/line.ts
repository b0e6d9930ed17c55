import type { Bytes } from '#protocol/ids.ts'

/** A connection to one of the coordinator's processes. What is sent on one that is not there yet, or not any more, is dropped. */
export type Line = {
  send(frame: Bytes): void
  /** It says nothing after that. */
  close(): void
}

/** What a line says, none of it before `dial` has returned. */
export type Ears = {
  readonly frame: (frame: unknown) => void
  readonly linked: () => void
  readonly refused: (reason: unknown) => void
  readonly lost: (reason: string) => void
  /** It never came about. */
  readonly unreachable: (reason: string) => void
}

export type Dial = (url: string, ears: Ears) => Line

/** Why a line is lost that the coordinator hung up on purpose. */
export const HUNG_UP = 'io server disconnect'
