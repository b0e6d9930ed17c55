import { enableProdMode, grads, reshape, scalar, setBackend, type Tensor, tensor, tidy } from '@tensorflow/tfjs-core'
import { registerGradients, run } from './gradients.ts'
import { mendWasm } from './kernels/mend.ts'

export type BackendName = 'wasm' | 'cpu'
export type BackendChoice = BackendName | 'auto'
/** The backend that is set, and why faster ones are not. */
export type OpenBackend = {
  readonly name: BackendName
  readonly passedOver: readonly { readonly backend: BackendName; readonly reason: string }[]
}

/** Fastest first. */
const CANDIDATES: readonly BackendName[] = ['wasm', 'cpu']

/** Sets TF.js's backend for this thread. Throws when none of the wanted ones computes right. */
export async function openBackend(choice: BackendChoice): Promise<OpenBackend> {
  const passedOver: { readonly backend: BackendName; readonly reason: string }[] = []
  // Else TF.js greets on the console and offers another backend.
  enableProdMode()
  registerGradients()
  for (const backend of choice === 'auto' ? CANDIDATES : [choice]) {
    try {
      await load(backend)
      if (!(await setBackend(backend))) throw new Error('TF.js does not set it')
      probe()
      return { name: backend, passedOver }
    } catch (cause) {
      passedOver.push({ backend, reason: cause instanceof Error ? cause.message : String(cause) })
    }
  }
  throw new Error(
    `no backend trains here: ${passedOver.map(({ backend, reason }) => `${backend}: ${reason}`).join('; ')}`,
  )
}

async function load(backend: BackendName): Promise<void> {
  if (backend === 'cpu') {
    await import('@tensorflow/tfjs-backend-cpu')
    return
  }
  await import('@tensorflow/tfjs-backend-wasm')
  mendWasm()
}

/** A step whose gradients are known by hand: that a backend starts does not mean that it differentiates. */
function probe(): void {
  const found = tidy(() => {
    // The filter copies the upper left of each 2 × 2; -1 is the largest of the four it copies, and the output weighs it by 3.
    const x = tensor([-4, -1, -3, -2, -5, 1, 2, 3, 4], [1, 3, 3, 1])
    const filter = tensor([1, 0, 0, 0], [2, 2, 1, 1])
    const network = (image: Tensor, weights: Tensor) => {
      const attrs = { strides: 1, pad: 'valid', dataFormat: 'NHWC', dilations: 1, activation: 'linear' }
      const convolved = run('FusedConv2D', { x: image, filter: weights, bias: tensor([0]) }, attrs)
      return reshape(run('MaxPool', { x: convolved }, { filterSize: 2, strides: 1, pad: 'valid' }), [])
    }
    return grads(network)([x, filter], scalar(3)).flatMap((gradient) => [...gradient.dataSync()])
  })
  if (String(found) !== String(KNOWN)) throw new Error('its gradients are wrong')
}
const KNOWN = [0, 3, 0, 0, 0, 0, 0, 0, 0, -3, -9, -15, 3]
