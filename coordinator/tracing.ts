import { randomUUID } from 'node:crypto'
import { DiagLogLevel, diag, ProxyTracerProvider, type TracerProvider } from '@opentelemetry/api'
import type { Millis } from '#protocol/ids.ts'
import { COHORT_MAX } from '#protocol/limits.ts'

/** Where traces go; nowhere unless the environment says so, in OpenTelemetry's own words. */
export type Tracing = AsyncDisposable & { readonly provider: TracerProvider }

/** A round's spans are all told at once, and what has no room is dropped: four rounds of the largest cohort have. */
const SPANS_MAX = 4 * COHORT_MAX

/** Tries of one export, all together: a process that has drained may still wait for its last one. */
const EXPORT_MILLIS: Millis = 5000

/**
 * Exports over OTLP/HTTP to OTEL_EXPORTER_OTLP_ENDPOINT (or …_TRACES_ENDPOINT), by packages that are there only where
 * somebody installed them.
 *
 * @param failed hears why spans were not sent
 * @throws where an endpoint is set and they are not there
 */
export async function openTracing(
  environment: NodeJS.ProcessEnv,
  version: string,
  failed: (cause: Error) => void,
): Promise<Tracing> {
  const endpoint = environment['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] ?? environment['OTEL_EXPORTER_OTLP_ENDPOINT']
  if (!endpoint || environment['OTEL_SDK_DISABLED'] === 'true')
    return { provider: new ProxyTracerProvider(), [Symbol.asyncDispose]: async () => undefined }
  const { BasicTracerProvider, BatchSpanProcessor, OTLPTraceExporter, ...resources } = await load()
  const told = (...said: readonly unknown[]) => failed(new Error(said.map(String).join(' ')))
  const quiet = () => undefined
  diag.setLogger(
    { error: told, warn: told, info: quiet, debug: quiet, verbose: quiet },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  )
  const own = resources.resourceFromAttributes({
    ...{ 'service.name': 'consilium-coordinator', 'service.version': version, 'service.instance.id': randomUUID() },
  })
  // What the environment says of this process (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES) wins.
  const given = resources.detectResources({ detectors: [resources.envDetector] })
  const room = environment['OTEL_BSP_MAX_QUEUE_SIZE'] === undefined ? { maxQueueSize: SPANS_MAX } : {}
  const said = environment['OTEL_EXPORTER_OTLP_TRACES_TIMEOUT'] ?? environment['OTEL_EXPORTER_OTLP_TIMEOUT']
  const patience = said === undefined ? { timeoutMillis: EXPORT_MILLIS } : {}
  const provider = new BasicTracerProvider({
    resource: own.merge(given),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter(patience), room)],
  })
  return {
    provider,
    async [Symbol.asyncDispose]() {
      await provider.shutdown().catch(failed)
      diag.disable()
    },
  }
}

async function load() {
  try {
    const [sdk, exporter, resources] = await Promise.all([
      import('@opentelemetry/sdk-trace-base'),
      import('@opentelemetry/exporter-trace-otlp-http'),
      import('@opentelemetry/resources'),
    ])
    return { ...sdk, ...exporter, ...resources }
  } catch (cause) {
    const packages = '@opentelemetry/sdk-trace-base @opentelemetry/exporter-trace-otlp-http @opentelemetry/resources'
    throw new Error(`traces are asked for and cannot be sent: npm install ${packages}`, { cause })
  }
}
