import { backend, env, findBackendFactory, registerBackend, removeBackend, setBackend } from '@tensorflow/tfjs-core'
import { type BackendName, checkBackend, chooseBackend, type OpenBackend } from '#client/trainers/backends/choice.ts'
import { pageCandidates } from '#client/trainers/backends/page.ts'
import { probeGradients } from '#client/trainers/backends/probe.ts'
import { registerGradients } from '#client/trainers/gradients.ts'
import * as curves from './loss-curves.ts'
import * as made from './made-examples.ts'
import * as shapes from './shapes-held.ts'

/** The backends of a page, as its training thread starts them. */
export function open(backend: BackendName): Promise<OpenBackend> {
  return chooseBackend(pageCandidates(''), backend)
}

export async function exampleGradient(name: string): Promise<readonly number[]> {
  return [...(await made.exampleGradient(name))]
}

export function lossesOf(name: string): Promise<readonly number[]> {
  return curves.lossesOf(name)
}

export function bytesHeld(tasks: number): Promise<readonly number[]> {
  return shapes.bytesHeld(tasks)
}

/** What the thread would be told where WebGL was asked what it cannot do, which nothing tells of by itself. */
export async function refusedStep(): Promise<object> {
  const { promise, resolve } = Promise.withResolvers<object>()
  await chooseBackend(pageCandidates(''), 'webgl', { lost: (reason, refused) => resolve({ reason, refused }) })
  checkBackend()
  const { gl } = (backend() as unknown as { readonly gpgpu: { readonly gl: WebGL2RenderingContext } }).gpgpu
  gl.enable(gl.NONE)
  checkBackend()
  return promise
}

/** The probe on WebGL as TF.js has it where it may lay out squares, and as it is where floats of 32 bits cannot be drawn. */
export async function openCoarsely() {
  await import('@tensorflow/tfjs-backend-webgl')
  const probed = async (flags: Readonly<Record<string, boolean>>) => {
    env().reset()
    env().setFlags({ ...flags })
    const factory = findBackendFactory('webgl')
    removeBackend('webgl')
    registerBackend('webgl', factory)
    await setBackend('webgl')
    registerGradients()
    return probeGradients()
  }
  const found = {
    whole: await probed({ WEBGL_PACK: false }),
    packed: await probed({ WEBGL_PACK: true }),
    half: await probed({ WEBGL_PACK: false, WEBGL_FORCE_F16_TEXTURES: true }),
  }
  return { ...found, refusal: await open('webgl').then(String, String) }
}
