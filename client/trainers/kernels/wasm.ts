import { KERNELS_BINARY } from './binary.ts'

/** What assembly/ compiles to. Every number is an address in TF.js's memory, a step between addresses, or a count. */
export type Kernels = {
  packFilters(kernel: number, bias: number, packed: number, packedBias: number, taps: number, filters: number): void
  convolve(
    image: number,
    packed: number,
    packedBias: number,
    out: number,
    ...rest: readonly [...geometry: Geometry, relu: number]
  ): void
  backpropFilter(image: number, gradient: number, kernelGradient: number, ...geometry: Geometry): void
  backpropInput(imageGradient: number, gradient: number, kernel: number, ...geometry: Geometry): void
  depthwise(image: number, filter: number, out: number, ...geometry: DepthwiseGeometry): void
  depthwiseBackpropFilter(image: number, gradient: number, filterGradient: number, ...geometry: DepthwiseGeometry): void
  depthwiseBackpropInput(imageGradient: number, gradient: number, filter: number, ...geometry: DepthwiseGeometry): void
  repeatEach(from: number, out: number, count: number, times: number): void
  sumEach(from: number, out: number, count: number, times: number): void
  sumSegments(from: number, ids: number, out: number, rows: number, width: number, segments: number): void
  transpose(from: number, out: number, rows: number, columns: number): void
  columnSums(from: number, out: number, rows: number, columns: number): void
  /** {@link file://./assembly/normalization.ts} and {@link file://./assembly/steps.ts}: addresses, then counts and numbers. */
  normalizeColumns(...addressesAndNumbers: readonly number[]): void
  normalizeColumnsGradient(...addressesAndNumbers: readonly number[]): void
  normalizeRows(...addressesAndNumbers: readonly number[]): void
  normalizeRowsGradient(...addressesAndNumbers: readonly number[]): void
  reluGradient(dy: number, y: number, out: number, count: number): void
  momentumStep(...addressesAndNumbers: readonly number[]): void
  adamStep(...addressesAndNumbers: readonly number[]): void
  softmaxLoss(logits: number, targets: number, sum: number, gradient: number, rows: number, classes: number): void
  maxPoolGradient(
    input: number,
    output: number,
    gradient: number,
    inputGradient: number,
    ...sizes: readonly number[]
  ): void
}

/** How a kernel slides over an image: see assembly/convolution.ts. */
export type Geometry = readonly [
  samples: number,
  sampleBytes: number,
  rowBytes: number,
  kernelRows: number,
  span: number,
  outRows: number,
  outColumns: number,
  filters: number,
  strideRowBytes: number,
  strideColumnBytes: number,
]

/** The same where channels stay apart: see assembly/depthwise.ts. */
export type DepthwiseGeometry = readonly [
  samples: number,
  sampleBytes: number,
  kernelRows: number,
  kernelColumns: number,
  tapRowBytes: number,
  tapColumnBytes: number,
  outRows: number,
  outColumns: number,
  channels: number,
  strideRowBytes: number,
  strideColumnBytes: number,
]

export type Memory = { readonly buffer: ArrayBuffer }

/** What we use of the engine's own door: the compiler's libraries for Node leave it out. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (
    module: object,
    imports: { readonly env: { readonly memory: Memory } },
  ) => { exports: unknown }
}

/** Instantiated on a memory that somebody else owns. Four kilobytes compile faster than a promise turns. */
export function instantiate(memory: Memory): Kernels {
  const module = new WebAssembly.Module(Uint8Array.from(atob(KERNELS_BINARY), (letter) => letter.charCodeAt(0)))
  return new WebAssembly.Instance(module, { env: { memory } }).exports as Kernels
}
