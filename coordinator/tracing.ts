import { ProxyTracerProvider, type TracerProvider } from '@opentelemetry/api'

/** Where traces go; nowhere unless the environment says so, in OpenTelemetry's own words. */
export type Tracing = AsyncDisposable & { readonly provider: TracerProvider }

/**
 * Exports over OTLP/HTTP to OTEL_EXPORTER_OTLP_ENDPOINT (or …_TRACES_ENDPOINT), by packages that are there only where
 * somebody installed them.
 *
 * @throws where an endpoint is set and they are not there
 */
export async function openTracing(environment: NodeJS.ProcessEnv, version: string): Promise<Tracing> {
  const endpoint = environment['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] ?? environment['OTEL_EXPORTER_OTLP_ENDPOINT']
  if (!endpoint || environment['OTEL_SDK_DISABLED'] === 'true')
    return { provider: new ProxyTracerProvider(), [Symbol.asyncDispose]: async () => undefined }
  const { BasicTracerProvider, BatchSpanProcessor, OTLPTraceExporter, resourceFromAttributes } = await load()
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'consilium-coordinator', 'service.version': version }),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
  })
  return { provider, [Symbol.asyncDispose]: () => provider.shutdown() }
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
