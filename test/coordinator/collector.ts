import type { ServerResponse } from 'node:http'
import { loopback } from '#test/loopback.ts'

/** A span as it came over the wire, its times in milliseconds. */
export type Told = {
  readonly name: string
  readonly trace: string
  readonly id: string
  readonly parent: string | undefined
  readonly from: number
  readonly to: number
  readonly isError: boolean
  readonly attributes: Readonly<Record<string, string | number>>
  readonly resource: Readonly<Record<string, string | number>>
}

/** What takes OTLP over HTTP on a free loopback port, and reads it as strictly as the protocol lets it. */
export type Collector = AsyncDisposable & {
  readonly url: string
  readonly spans: readonly Told[]
  /** The same by the request that they came with: requests come in any order. */
  readonly batches: readonly (readonly Told[])[]
}

/** @param answers the status of each answer */
export async function openCollector(answers: () => number | 'nothing' = () => 200): Promise<Collector> {
  const spans: Told[] = []
  const batches: (readonly Told[])[] = []
  const unanswered: ServerResponse[] = []
  const server = await loopback(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString()
    const status = answers()
    if (status === 'nothing') return void unanswered.push(response)
    const isOurs = request.method === 'POST' && request.url === '/v1/traces'
    const isJson = request.headers['content-type'] === 'application/json'
    if (isOurs && isJson && status === 200) {
      const told = readTraces(JSON.parse(body))
      batches.push(told)
      spans.push(...told)
    }
    response.writeHead(isOurs && isJson ? status : 400, { 'content-type': 'application/json' }).end('{}')
  })
  return {
    ...{ url: server.url, spans, batches },
    async [Symbol.asyncDispose]() {
      // So that nobody waits for it any longer.
      await Promise.all(
        unanswered.map((response) => new Promise<void>((settle) => response.writeHead(200).end(settle))),
      )
      await server[Symbol.asyncDispose]()
    },
  }
}

type Attribute = {
  readonly key: string
  readonly value: { readonly stringValue?: string; readonly intValue?: number | string }
}
type Span = {
  readonly [name in 'name' | 'traceId' | 'spanId' | 'startTimeUnixNano' | 'endTimeUnixNano']: string
} & {
  readonly parentSpanId?: string
  readonly attributes: readonly Attribute[]
  readonly status: { readonly code?: number }
}
type Traces = {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] }
    readonly scopeSpans: readonly { readonly scope: { readonly name: string }; readonly spans: readonly Span[] }[]
  }[]
}

/** An ExportTraceServiceRequest in JSON: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding */
function readTraces({ resourceSpans }: Traces): readonly Told[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        name: span.name,
        trace: hex(span.traceId, 32),
        id: hex(span.spanId, 16),
        parent: span.parentSpanId ? hex(span.parentSpanId, 16) : undefined,
        from: millis(span.startTimeUnixNano),
        to: millis(span.endTimeUnixNano),
        isError: span.status.code === 2,
        attributes: valuesOf(span.attributes),
        resource: valuesOf(resource.attributes),
      })),
    ),
  )
}

function hex(text: string, length: number): string {
  if (!/^[0-9a-f]+$/.test(text) || text.length !== length || /^0+$/.test(text)) throw new Error(`${text} is no id`)
  return text
}

/** A string of decimals: nanoseconds of today are more than a double holds. */
function millis(nanos: string): number {
  if (!/^\d{19}$/.test(nanos)) throw new Error(`${nanos} is no time of ours`)
  return Number(BigInt(nanos) / 1_000_000n)
}

function valuesOf(attributes: readonly Attribute[]): Readonly<Record<string, string | number>> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [key, value.stringValue ?? Number(value.intValue ?? Number.NaN)]),
  )
}
