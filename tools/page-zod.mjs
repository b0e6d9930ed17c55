// What a page's schemas call of zod, over zod/mini: the same core reads by them, without the rest that zod's own methods hold
// on to. A schema that calls another one fails when it is made, which is when the page is loaded.
import {
  array,
  enum as choice,
  exactOptional,
  gte,
  lte,
  maxLength,
  minLength,
  nullable,
  optional,
  readonly,
  refine,
  regex,
  safeDecode,
  superRefine,
  ZodMiniType,
} from 'zod/mini'

// biome-ignore lint/performance/noBarrelFile: it stands in for a library, and is asked by that one’s names.
export {
  array,
  boolean,
  codec,
  config,
  custom,
  discriminatedUnion,
  encode,
  enum,
  int,
  literal,
  looseObject,
  NEVER,
  prettifyError,
  strictObject,
  string,
  tuple,
  union,
} from 'zod/mini'

const isNumber = (schema) => schema.def.type === 'number'

/** Every schema has them. */
const METHODS = {
  array() {
    return array(this)
  },
  exactOptional() {
    return exactOptional(this)
  },
  exclude(names) {
    return choice(Object.fromEntries(Object.entries(this.def.entries).filter(([name]) => !names.includes(name))))
  },
  max(bound) {
    return this.check((isNumber(this) ? lte : maxLength)(bound))
  },
  min(bound) {
    return this.check((isNumber(this) ? gte : minLength)(bound))
  },
  nullable() {
    return nullable(this)
  },
  optional() {
    return optional(this)
  },
  readonly() {
    return readonly(this)
  },
  refine(holds, what) {
    return this.check(refine(holds, what))
  },
  regex(pattern) {
    return this.check(regex(pattern))
  },
  safeDecode(value) {
    return safeDecode(this, value)
  },
  superRefine(look) {
    return this.check(superRefine(look))
  },
}
Object.assign(ZodMiniType.prototype, METHODS)
