import { z } from 'zod'
import { type Activation, activationField } from '../layers.ts'

/** Options of layers as Keras and TF.js write them: what is read, what has to be so, and what changes nothing here. */
export const absent = (fix: string) => z.union([z.null(), z.undefined()], fix).optional()
export const ignored = z.unknown().optional()
export const only = <T extends string | number | boolean>(value: T, fix: string) =>
  z.union([z.literal(value), z.null(), z.undefined()], fix).optional()

const PLAIN = 'leave it out: losses are of the task'
export const common = {
  name: ignored,
  trainable: z.boolean().default(true),
  dtype: ignored,
  batch_input_shape: ignored,
  batch_shape: ignored,
  input_shape: ignored,
  seed: ignored,
  activity_regularizer: absent(PLAIN),
}
export const weighed = (...parts: readonly string[]) =>
  Object.fromEntries(
    parts.flatMap((part) => [
      [`${part}_initializer`, ignored],
      [`${part}_regularizer`, absent(PLAIN)],
      [`${part}_constraint`, absent(PLAIN)],
    ]),
  ) as Record<`${string}_initializer`, typeof ignored>

const camel = (name: string) => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
const SAME: ReadonlyMap<string, Activation> = new Map([['silu', 'swish']])
export const activationIn = z
  .union([z.string(), z.looseObject({ config: z.string() }).transform(({ config }) => config), z.null()])
  .default(null)
  .transform((name): string => SAME.get(name ?? '') ?? camel(name ?? 'linear'))
  .pipe(z.enum(activationField.options, 'no such activation is trained here'))

export const real = (max: number) => z.number().min(0).max(max)
const side = z.int().min(1).max(4096)
export const pairIn = z.union([z.tuple([side, side]), side.transform((one) => [one, one] as [number, number])])
export const sideIn = z.union([side, z.tuple([side]).transform(([one]) => one)])
const onesIn = z
  .union([z.literal(1), z.array(z.literal(1)).max(2), z.null()], 'dilated layers have no gradient: leave it 1')
  .optional()
export const paddingIn = z.enum(['valid', 'same'])
export const convolution = {
  ...common,
  ...weighed('kernel', 'bias', 'depthwise', 'pointwise'),
  activation: activationIn,
  use_bias: z.boolean().default(true),
  data_format: only('channels_last', 'channels come last here'),
  dilation_rate: onesIn,
  groups: only(1, 'groups are not trained: leave it 1'),
  rank: ignored,
}
export const pooling = { ...common, data_format: convolution.data_format }
