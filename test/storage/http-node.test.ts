import { spawn, spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'
import { equalBytes } from '#protocol/bytes.ts'
import type { Bytes } from '#protocol/ids.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { Bandwidth } from '#storage/blobs/bandwidth.ts'
import { type Question, readAtMost } from '#storage/blobs/exchange.ts'
import { openHttp } from '#storage/blobs/http-node.ts'
import { contentOf } from '#test/content.ts'
import { temporaryFolder } from '#test/folder.ts'
import { loopback, until } from '#test/loopback.ts'

const MIB = 2 ** 20
const asking = (more: Partial<Question> = {}): Question => ({
  ...{ signal: new AbortController().signal, redirect: 'error' },
  ...more,
})

describe('fetch for Node', () => {
  test('keeps its connections', async () => {
    const sockets = new Set<unknown>()
    await using server = await loopback((request, response) => {
      sockets.add(request.socket)
      response.writeHead(request.url === '/no' ? 404 : 200).end('something')
    })
    await using http = openHttp()
    for (let turn = 0; turn < 12; turn++) {
      const signal = new AbortController()
      const path = turn % 2 === 0 ? '/no' : '/yes'
      const answer = await http.fetch(new URL(path, server.url), asking({ signal: signal.signal }))
      expect((await readAtMost(answer, 100)).length).toBe(9)
      // As an exchange does when it is over.
      signal.abort()
    }
    // One is still busy with its answer's end when the next question comes.
    expect(sockets.size).toBeLessThanOrEqual(2)
  })

  test('sends what it is given, and nothing of its own but a name', async () => {
    const body = contentOf('sent', 300_000)
    const got: { readonly head: unknown; readonly body: Bytes }[] = []
    await using server = await loopback(async (request, response) => {
      const pieces: Bytes[] = []
      for await (const piece of request) pieces.push(piece)
      got.push({ head: [request.method, request.url, request.headers], body: Buffer.concat(pieces) })
      response.writeHead(201, 'Kept', { 'X-One': 'a', 'X-Two': ['b', 'c'] }).end()
    })
    await using http = openHttp()
    const headers = { Authorization: 'Bearer t' }
    const answer = await http.fetch(
      new URL('/ipfs/x?of=y', server.url),
      asking({ method: 'PUT', headers, body: body as Uint8Array<ArrayBuffer> }),
    )
    expect(answer).toMatchObject({ ok: true, status: 201, statusText: 'Kept' })
    expect(['x-one', 'X-Two', 'x-three'].map((name) => answer.headers.get(name))).toEqual(['a', 'b, c', null])
    expect(got[0]?.head).toEqual([
      'PUT',
      '/ipfs/x?of=y',
      {
        ...{ host: new URL(server.url).host, connection: 'keep-alive', 'content-length': '300000' },
        ...{ 'user-agent': 'consilium', authorization: 'Bearer t' },
      },
    ])
    expect(equalBytes(got[0]?.body as Bytes, body)).toBe(true)
  })

  test('does not run ahead of its reader', async () => {
    let sent = 0
    await using server = await loopback((_request, response) => {
      const more = () => {
        do sent += 65_536
        while (!response.destroyed && response.write(Buffer.alloc(65_536)))
      }
      response.on('drain', more)
      more()
    })
    await using http = openHttp()
    const stop = new AbortController()
    const answer = await http.fetch(new URL(server.url), asking({ signal: stop.signal }))
    const reader = answer.body?.getReader()
    await reader?.read()
    let before = -1
    while (before !== sent) {
      before = sent
      for (let turn = 0; turn < 300; turn++) await new Promise(setImmediate)
      expect(sent).toBeLessThan(64 * MIB)
    }
    // What the two ends of the connection buffer.
    expect(sent).toBeLessThan(16 * MIB)
    stop.abort(new Error('enough'))
    const rest = (async () => {
      while (!(await reader?.read())?.done);
    })()
    await expect(rest).rejects.toThrow('enough')
  })

  test('an abort is heard before the answer, and when it was there before the question', async () => {
    let asked = 0
    await using server = await loopback(() => {
      asked++
    })
    await using http = openHttp()
    const stop = new AbortController()
    const answer = http.fetch(new URL(server.url), asking({ signal: stop.signal }))
    answer.catch(() => undefined)
    await until(() => asked === 1)
    stop.abort(new Error('too long'))
    await expect(answer).rejects.toThrow('too long')
    await expect(http.fetch(new URL(server.url), asking({ signal: stop.signal }))).rejects.toThrow('too long')
    expect(asked).toBe(1)
  })

  const trusts = 'trusts the authority that NODE_EXTRA_CA_CERTS names, and without it no private one'
  if (spawnSync('openssl', ['version']).status !== 0) {
    process.stderr.write(`skipped: ${trusts}, since there is no openssl to make a certificate\n`)
    test.skip(trusts, () => undefined)
  } else
    test(trusts, async () => {
      await using folder = await temporaryFolder()
      const [cert, key] = [join(folder.path, 'cert.pem'), join(folder.path, 'key.pem')]
      const make = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1']
      const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1']
      expect(spawnSync('openssl', [...make, ...subject, '-keyout', key, '-out', cert]).status).toBe(0)
      const server = createTlsServer({ cert: await readFile(cert), key: await readFile(key) }, (_request, response) =>
        response.end('private'),
      )
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`
      const script = fileURLToPath(new URL('./children/private-authority.ts', import.meta.url))
      const said = async (env: Readonly<Record<string, string>>) => {
        const child = spawn(process.execPath, [script, url], { env: { ...process.env, ...env } })
        return text(child.stdout)
      }
      expect(await said({ NODE_EXTRA_CA_CERTS: cert })).toBe('private')
      expect(await said({ NODE_EXTRA_CA_CERTS: '' })).toMatch(/certificate/)
      server.close()
    })
})

describe('a bandwidth', () => {
  test('is what all that share it take together, each as much as the others', async () => {
    const clock = virtualClock(0)
    const bandwidth = new Bandwidth(clock, 100_000)
    const passed = [0, 0, 0, 0]
    const stop = new AbortController()
    const transfers = passed.map(async (_, index) => {
      // Of different steps: whoever takes larger ones gets more of a turn, and no more turns.
      for (;;) {
        await bandwidth.pass(1000, stop.signal)
        passed[index] = (passed[index] ?? 0) + 1000
      }
    })
    await clock.advance(10_000)
    const sum = passed.reduce((a, b) => a + b, 0)
    expect(sum).toBeGreaterThanOrEqual(1_000_000)
    expect(sum).toBeLessThanOrEqual(1_000_000 + 10_000 + 4000)
    expect(Math.max(...passed) - Math.min(...passed)).toBeLessThanOrEqual(1000)
    stop.abort(new Error('over'))
    expect((await Promise.allSettled(transfers)).map(({ status }) => status)).toEqual(Array(4).fill('rejected'))
    expect(clock.waiting()).toBe(0)
  })

  test('holds for what is received and for what is sent, each by itself', async () => {
    const clock = virtualClock(0)
    const body = contentOf('paced', 200_000) as Uint8Array<ArrayBuffer>
    let received = 0
    await using server = await loopback(async (request, response) => {
      for await (const piece of request) received += piece.length
      response.end(body)
    })
    await using http = openHttp({ sending: new Bandwidth(clock, 20_000), receiving: new Bandwidth(clock, 50_000) })
    let [over, read] = [false, 0]
    const exchange = async () => {
      const answer = await http.fetch(new URL(server.url), asking({ method: 'PUT', body }))
      const sentAt = clock.now()
      const reader = answer.body?.getReader()
      for (let next = await reader?.read(); next && !next.done; next = await reader?.read()) read += next.value.length
      over = true
      return { sentAt, readAt: clock.now() }
    }
    const exchanging = exchange()
    while (!over) {
      await clock.advance(100)
      // It stands still while nobody waits for it and bytes are on their way.
      while (!over && clock.waiting() === 0) await new Promise(setImmediate)
      expect(received).toBeLessThanOrEqual(20_000 * (clock.now() / 1000) + 2000 + 16_384)
    }
    const { sentAt, readAt } = await exchanging
    expect([received, read]).toEqual([200_000, 200_000])
    expect(sentAt).toBeGreaterThan(8500)
    expect(sentAt).toBeLessThan(11_000)
    expect(readAt - sentAt).toBeGreaterThan(3500)
    expect(readAt - sentAt).toBeLessThan(5000)
  })
})
