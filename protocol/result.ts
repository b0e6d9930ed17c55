/** What a function answers when a peer may have erred. A refusal is a value: it goes back to the peer and to a counter. */
export type Result<T, R extends string = string> = { readonly ok: true; readonly value: T } | Refused<R>
export type Refused<R extends string = string> = { readonly ok: false; readonly refusal: R; readonly detail?: string }

export function accept<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value }
}

export function refuse<R extends string>(refusal: R, detail?: string): Refused<R> {
  return detail === undefined ? { ok: false, refusal } : { ok: false, refusal, detail }
}
