import swagger from '@fastify/swagger'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import { COOKIE } from './gate.ts'
import type { Routes } from './runs.ts'

/** Has OpenAPI made of the routes that are registered from then on, and served: written out once, since it is long and anybody may ask. */
export async function describe(server: Routes, version: string): Promise<void> {
  await server.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'consilium coordinator',
        version,
        description:
          'Launch federated training runs and follow them. Weights never travel in JSON: fetch blocks by CID from /ipfs.',
      },
      components: {
        securitySchemes: {
          key: { type: 'http', scheme: 'bearer' },
          cookie: { type: 'apiKey', in: 'cookie', name: COOKIE },
        },
      },
      security: [{ key: [] }, { cookie: [] }],
    },
    transform: (given) => {
      const { schema, url } = jsonSchemaTransform(given)
      const { scope } = given.route.config ?? {}
      const told = { tags: [tagOf(url)], ...(scope && { 'x-scope': scope }) }
      return { schema: { ...schema, ...(schema['hide'] === true ? {} : told) } as typeof schema, url }
    },
    transformObject: jsonSchemaTransformObject,
  })
  let text: string | undefined
  server.get('/openapi.json', { schema: { hide: true } }, async (_request, reply) => {
    text ??= JSON.stringify(server.swagger())
    return reply.type('application/json; charset=utf-8').send(text)
  })
}

/** What a route is about: the noun that its path begins with. */
function tagOf(url: string): string {
  const [, first = '', second] = url.split('/')
  return first === 'v1' && second !== undefined ? second : 'health'
}
