import fc from 'fast-check'
import type { Schema } from '#dashboard/reference.ts'

/** How deep a value of a shape that holds itself may go. */
const DEPTH = 6

/** Values of a shape: what the shape alone asks for, and not what validators ask beyond it. */
export function valuesOf(
  shape: Schema,
  shapes: Readonly<Record<string, Schema>>,
  depth = DEPTH,
): fc.Arbitrary<unknown> {
  const of = (inner: Schema) => valuesOf(inner, shapes, depth - 1)
  if (depth === 0) return fc.constant(null)
  if (shape.$ref !== undefined) return of(shapes[shape.$ref.split('/').at(-1) as string] as Schema)
  if (shape.const !== undefined) return fc.constant(shape.const)
  if (shape.enum) return fc.constantFrom(...shape.enum)
  const choices = shape.anyOf ?? shape.oneOf
  if (choices) return fc.oneof(...choices.map(of))
  if (shape.allOf) return fc.tuple(...shape.allOf.map(of)).map((parts) => Object.assign({}, ...(parts as object[])))
  if (Array.isArray(shape.type)) return fc.oneof(...shape.type.map((type: string) => of({ ...shape, type })))
  switch (shape.type) {
    case 'object':
      return objectsOf(shape, of)
    case 'array':
      if (shape.prefixItems) return fc.tuple(...shape.prefixItems.map(of))
      return fc.array(of(shape.items ?? {}), {
        ...{ minLength: shape.minItems ?? 0, maxLength: Math.min(shape.maxItems ?? 3, (shape.minItems ?? 0) + 3) },
      })
    case 'string':
      return textsOf(shape)
    case 'integer':
    case 'number': {
      const min = shape.minimum ?? (shape.exclusiveMinimum ?? -1001) + 1
      const max = Math.max(min, shape.maximum ?? min + 5000)
      return shape.type === 'integer'
        ? fc.integer({ min: Math.ceil(min), max: Math.floor(max) })
        : fc.double({ min, max, noNaN: true })
    }
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    default:
      return fc.jsonValue({ maxDepth: 2 })
  }
}

function objectsOf(shape: Schema, of: (inner: Schema) => fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  const { properties = {}, required = [], additionalProperties } = shape
  const fields = Object.fromEntries(Object.entries(properties).map(([name, inner]) => [name, of(inner)]))
  const named = fc.record(fields, { requiredKeys: [...required] } as { requiredKeys: never[] })
  if (typeof additionalProperties !== 'object') return named
  const others = fc.dictionary(fc.string({ maxLength: 10 }), of(additionalProperties), { maxKeys: 3 })
  return fc.tuple(others, named).map(([more, own]) => ({ ...more, ...own }))
}

function textsOf({ pattern, format, minLength = 0, maxLength = 60 }: Schema): fc.Arbitrary<string> {
  if (format === 'date-time') return fc.date({ noInvalidDate: true }).map((date) => date.toISOString())
  if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern))
  return fc.string({ minLength, maxLength: Math.min(maxLength, minLength + 40), unit: 'grapheme' })
}
