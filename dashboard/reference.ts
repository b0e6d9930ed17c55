/** As much of OpenAPI as the coordinator's description has. */
export type Schema = {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly allOf?: readonly Schema[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | Schema
  readonly items?: Schema
  readonly prefixItems?: readonly Schema[]
  readonly description?: string
  readonly default?: unknown
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly pattern?: string
  readonly format?: string
  readonly examples?: readonly unknown[]
}
type Content = Readonly<Record<string, { readonly schema?: Schema; readonly example?: unknown }>>
type Told = {
  readonly summary?: string
  readonly description?: string
  readonly tags?: readonly string[]
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly content?: Content }
  readonly responses?: Readonly<Record<string, { readonly content?: Content }>>
  readonly security?: readonly unknown[]
  readonly 'x-scope'?: string
}
export type Description = {
  readonly info: { readonly version: string }
  readonly paths: Readonly<Record<string, Readonly<Record<string, Told>>>>
  readonly components?: { readonly schemas?: Schemas }
}
export type Schemas = Readonly<Record<string, Schema>>

export type Parameter = {
  readonly name: string
  readonly in: string
  readonly required?: boolean
  readonly description?: string
  readonly schema?: Schema
}
/** A request's body, or an answer. */
export type Payload = { readonly type: string; readonly schema: Schema | undefined; readonly example: unknown }
export type Operation = {
  /** Of its place in the page. */
  readonly id: string
  readonly tag: string
  readonly method: string
  readonly path: string
  readonly summary: string
  readonly description: string
  /** That a key needs; null where none is asked for. */
  readonly scope: string | null
  readonly parameters: readonly Parameter[]
  readonly body: Payload | undefined
  readonly answers: readonly { readonly status: string; readonly payloads: readonly Payload[] }[]
}

export function operationsIn({ paths, components }: Description): readonly Operation[] {
  const schemas = components?.schemas ?? {}
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, told]) => operationOf(method, path, told, schemas)),
  )
}

/** By what they are about, in the order in which that comes first. */
export function byTag(operations: readonly Operation[]): ReadonlyMap<string, readonly Operation[]> {
  return Map.groupBy(operations, ({ tag }) => tag)
}

function operationOf(method: string, path: string, told: Told, schemas: Schemas): Operation {
  const { summary = '', description = '', tags = [], parameters = [], requestBody, responses = {} } = told
  return {
    id: `${method}-${path.replace(/[^A-Za-z0-9]+/g, '-').replace(/^-|-$/g, '')}`,
    tag: tags[0] ?? 'other',
    method: method.toUpperCase(),
    path,
    summary,
    description,
    scope: told.security?.length === 0 ? null : (told['x-scope'] ?? 'any'),
    parameters,
    body: payloadsIn(requestBody?.content, schemas)[0],
    answers: Object.entries(responses).map(([status, { content }]) => ({
      ...{ status, payloads: payloadsIn(content, schemas) },
    })),
  }
}

function payloadsIn(content: Content | undefined, schemas: Schemas): readonly Payload[] {
  return Object.entries(content ?? {}).map(([type, { schema, example }]) => {
    const named = schema && resolved(schema, schemas)
    return { type, schema, example: example ?? schema?.examples?.[0] ?? named?.examples?.[0] }
  })
}

/** What a reference is to; where it is to nothing, what could be anything. */
function resolved(schema: Schema, schemas: Schemas): Schema {
  return schema.$ref === undefined ? schema : (schemas[nameOf(schema.$ref)] ?? {})
}

function nameOf(reference: string): string {
  return reference.slice(reference.lastIndexOf('/') + 1)
}

/** Every word of a search is somewhere in what an operation says of itself. */
export function matches(operation: Operation, search: string): boolean {
  const { method, path, summary, description, scope, tag } = operation
  const text = [method, path, summary, description, scope ?? '', tag].join(' ').toLowerCase()
  return search
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word))
}

/** In one line: what a value is, without what it is made of. */
export function kindOf(schema: Schema): string {
  // What is sent has a shape of its own under the same name.
  if (schema.$ref !== undefined) return nameOf(schema.$ref).replace(/Input$/, '')
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(' | ')
  const choices = schema.anyOf ?? schema.oneOf
  if (choices) return [...new Set(choices.map(kindOf))].join(' | ')
  if (schema.allOf) return schema.allOf.map(kindOf).join(' & ')
  const types = typeof schema.type === 'string' ? [schema.type] : (schema.type ?? ['any'])
  const said = types.map((type) => (type === 'array' ? `${kindOf(schema.items ?? {})}[]` : type)).join(' | ')
  return [said, schema.format ?? '', boundsOf(schema)].filter((part) => part !== '').join(', ')
}

function boundsOf(schema: Schema): string {
  const { minimum, maximum, minLength, maxLength, minItems, maxItems, pattern } = schema
  const isEvery = minimum === Number.MIN_SAFE_INTEGER && maximum === Number.MAX_SAFE_INTEGER
  const ranges = [
    isEvery ? '' : rangeOf(minimum, maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum, ''),
    rangeOf(minLength, maxLength, ' characters'),
    rangeOf(minItems, maxItems, ' items'),
    pattern ?? '',
  ]
  return ranges.filter((range) => range !== '').join(', ')
}

function rangeOf(least: number | undefined, most: number | undefined, unit: string): string {
  if (least === undefined && most === undefined) return ''
  if (most === undefined) return `≥ ${least}${unit}`
  return least === undefined ? `≤ ${most}${unit}` : `${least} … ${most}${unit}`
}

/** What a value is made of: its fields; those of its items, or of each thing that it may be. */
export type Part = {
  readonly name: string
  readonly schema: Schema
  readonly isRequired: boolean
  readonly description: string | undefined
}

/** How far what has no fields of its own is followed: a shape may be made of nothing but itself. */
const DEPTH = 8

export function partsOf(schema: Schema, schemas: Schemas, depth = DEPTH): readonly Part[] {
  if (depth === 0) return []
  const within = (inner: Schema) => partsOf(inner, schemas, depth - 1)
  const {
    properties,
    required = [],
    items,
    prefixItems,
    anyOf,
    oneOf,
    allOf,
    additionalProperties,
  } = resolved(schema, schemas)
  if (properties && Object.keys(properties).length > 0)
    return Object.entries(properties).map(([name, field]) => ({
      ...{ name, schema: field, isRequired: required.includes(name) },
      description: field.description ?? resolved(field, schemas).description,
    }))
  if (items) return within(items)
  if (allOf) return allOf.flatMap(within)
  if (typeof additionalProperties === 'object') return within(additionalProperties)
  const made = [...(anyOf ?? oneOf ?? prefixItems ?? [])].filter((one) => within(one).length > 0)
  if (made.length === 1) return within(made[0] as Schema)
  return made.map((one) => ({
    ...{ name: titleOf(one, schemas), schema: one, isRequired: false, description: one.description },
  }))
}

/** Of one of several shapes: its name, or else what tells it from the others. */
function titleOf(schema: Schema, schemas: Schemas): string {
  if (schema.$ref !== undefined) return nameOf(schema.$ref)
  const { properties = {} } = resolved(schema, schemas)
  const telling = Object.entries(properties).find(([, { const: only }]) => only !== undefined)
  return telling ? `${telling[0]}: ${JSON.stringify(telling[1].const)}` : Object.keys(properties).join(', ')
}

/** As a shell takes it: the key in CONSILIUM_API_KEY, what stands in the path in variables of that name. */
export function curlOf({ method, path, scope, body, answers, parameters }: Operation, origin: string): string {
  const address = `${origin}${path.replace(/\{(\w+)\}/g, (_all, name: string) => `$${name.toUpperCase()}`)}`
  const needed = parameters.filter((one) => one.in === 'query' && one.required)
  const query = needed.map(({ name }) => `${name}=$${name.toUpperCase()}`).join('&')
  const types = answers.find(({ status }) => status.startsWith('2'))?.payloads.map(({ type }) => type) ?? []
  // Some refuse to spend without one; whoever has set none sends none.
  const takesKey = parameters.some((one) => one.in === 'header' && one.name === 'idempotency-key')
  const isStream = types.length > 0 && types.every((type) => type === 'text/event-stream')
  const words = [
    'curl',
    ...(method === 'GET' ? [] : [`-X ${method}`]),
    ...(isStream ? ["-N -H 'accept: text/event-stream'"] : []),
    ...(scope === null ? [] : ['-H "authorization: Bearer $CONSILIUM_API_KEY"']),
    ...(takesKey ? ['-H "idempotency-key: $IDEMPOTENCY_KEY"'] : []),
    ...(body ? [`-H 'content-type: ${body.type}'`, `-d ${quoted(JSON.stringify(body.example))}`] : []),
    `"${address}${query === '' ? '' : `?${query}`}"`,
  ]
  return words.join(' ')
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
