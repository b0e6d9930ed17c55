import { nearest } from '#protocol/nearest.ts'
import { usage } from './arguments.ts'
import type { Command } from './command.ts'
import type { Failure } from './failure.ts'
import { type JsonSchema, outputSchema } from './shapes.ts'

/** Fields by name, and those below them; none below one that is wanted whole. */
type Wanted = Map<string, Wanted>
type Projection = (value: object) => object

/**
 * `--json=id,data.round`: an object with these fields alone, at their places; through a list, of each of its items. Throws
 * {@link Failure} for a field that the command's schema does not have.
 */
export function projection(command: Command, fields: string): Projection {
  const schema = outputSchema(command)
  if (!schema)
    throw usage(
      'no_fields',
      `what ${command.name} prints is not ours to take apart`,
      'pipe it into jq, or leave --json out',
    )
  const paths = fields.split(',').map((field) => field.trim())
  const unknown = paths.filter((path) => path === '' || !isKnown(schema, path.split('.')))
  if (unknown.length > 0) throw noField(command, unknown, pathsOf(schema))
  const wanted: Wanted = new Map()
  for (const path of paths) want(wanted, path.split('.'))
  return (value) => pick(value, wanted) as object
}

function want(wanted: Wanted, [name = '', ...rest]: readonly string[]): void {
  const below = wanted.get(name)
  if (rest.length === 0) wanted.set(name, new Map())
  // Whole it is already.
  else if (below?.size === 0) return
  else {
    const next: Wanted = below ?? new Map()
    wanted.set(name, next)
    want(next, rest)
  }
}

/** Where there is nothing there is null, so that every object has the same fields. */
function pick(value: unknown, wanted: Wanted): unknown {
  if (wanted.size === 0) return value ?? null
  if (Array.isArray(value)) return value.map((item) => pick(item, wanted))
  if (value === null || typeof value !== 'object') return null
  const held = value as Readonly<Record<string, unknown>>
  return Object.fromEntries(
    [...wanted].map(([name, below]) => [name, pick(Object.hasOwn(held, name) ? held[name] : undefined, below)]),
  )
}

function noField(command: Command, unknown: readonly string[], known: readonly string[]): Failure {
  const lines = unknown.map((path) => {
    const close = known.find((other) => other.endsWith(`.${path}`)) ?? nearest(path, known)
    return [path || '(empty)', close ? `did you mean ${close}?` : 'nothing is called like it'] as const
  })
  const top = known.filter((path) => !path.includes('.'))
  return usage('unknown_field', `${command.name} has no ${unknown.join(', ')}`, `fields are ${top.join(', ')}`, lines)
}

function isKnown(schema: JsonSchema, path: readonly string[]): boolean {
  let at: readonly JsonSchema[] = objectsIn(schema, schema)
  for (const name of path) {
    // What says nothing of its fields may have any.
    if (at.some(isOpen)) return true
    at = at.flatMap((object): readonly JsonSchema[] => {
      const fields = fieldsOf(object)
      const field = Object.hasOwn(fields, name) ? fields[name] : undefined
      return field ? anyOf(schema, field) : []
    })
    if (at.length === 0) return false
    at = at.flatMap((below) => objectsIn(schema, below))
  }
  return true
}

/** Deeper than anything that is printed: a shape may hold itself. */
const DEPTH_MAX = 6

function pathsOf(root: JsonSchema): readonly string[] {
  const found = new Set<string>()
  const walk = (schema: JsonSchema, prefix: string, depth: number): void => {
    for (const object of objectsIn(root, schema))
      for (const [name, below] of Object.entries(fieldsOf(object))) {
        found.add(prefix + name)
        if (depth < DEPTH_MAX) walk(below, `${prefix}${name}.`, depth + 1)
      }
  }
  walk(root, '', 1)
  return [...found]
}

/** The objects that a schema allows, through lists, alternatives and references. */
function objectsIn(root: JsonSchema, schema: JsonSchema): readonly JsonSchema[] {
  return anyOf(root, schema).flatMap((one) => {
    const items = one['items'] as JsonSchema | undefined
    if (items) return objectsIn(root, items)
    return isObject(one) || isAnything(one) ? [one] : []
  })
}

function anyOf(root: JsonSchema, schema: JsonSchema): readonly JsonSchema[] {
  const { $ref, anyOf: some, oneOf, allOf } = schema as Record<string, unknown> & { readonly $ref?: string }
  if ($ref !== undefined) {
    const definitions = root['$defs'] as Readonly<Record<string, JsonSchema>>
    return anyOf(root, definitions[$ref.slice('#/$defs/'.length)] ?? {})
  }
  const parts = [some, oneOf, allOf].flatMap((each) => (each ?? []) as readonly JsonSchema[])
  return parts.length > 0 ? parts.flatMap((part) => anyOf(root, part)) : [schema]
}

function fieldsOf(object: JsonSchema): Readonly<Record<string, JsonSchema>> {
  return (object['properties'] ?? {}) as Readonly<Record<string, JsonSchema>>
}

function isOpen(object: JsonSchema): boolean {
  const others = object['additionalProperties']
  return isAnything(object) || (isObject(object) && others !== undefined && others !== false)
}

function isObject({ type }: JsonSchema): boolean {
  return type === 'object' || (Array.isArray(type) && type.includes('object'))
}

function isAnything(schema: JsonSchema): boolean {
  return schema['type'] === undefined && schema['enum'] === undefined && schema['const'] === undefined
}
