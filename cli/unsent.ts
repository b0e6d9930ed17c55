/** A request that would change something, as --dry-run shows it. */
export type UnsentRequest = {
  readonly dry_run: true
  readonly method: string
  readonly path: string
  /** Null where there is none, or where it is no JSON. */
  readonly body: unknown
}

/** Thrown in the place of sending it: whatever comes after it would be about an answer. */
export class Unsent extends Error {
  override name = 'Unsent'
  readonly request: UnsentRequest

  constructor(request: UnsentRequest) {
    super(`${request.method} ${request.path} was not sent`)
    this.request = request
  }

  lines(): readonly string[] {
    const { method, path, body } = this.request
    return [`would send  ${method} ${path}`, ...(body === null ? [] : JSON.stringify(body, null, 2).split('\n'))]
  }
}
