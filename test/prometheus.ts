import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { temporaryFolder } from './folder.ts'
import { freePort } from './loopback.ts'

/** One series that an expression came to, now. */
export type Sample = { readonly metric: Readonly<Record<string, string>>; readonly value: number }
type Rule = { readonly name: string; readonly state: string; readonly health: string; readonly lastError?: string }

/** A real Prometheus on a free loopback port, its data in a temporary folder. It is gone with the scope. */
export type Prometheus = AsyncDisposable & {
  /** Throws with its own words where it does not take the expression. */
  query(expression: string): Promise<readonly Sample[]>
  /** The rules that it evaluates. */
  rules(): Promise<readonly Rule[]>
}

/** @param scraped `host:port` that answer /metrics @param rules a file of rules */
export async function startPrometheus(path: string, scraped: readonly string[], rules: string): Promise<Prometheus> {
  await using scope = new AsyncDisposableStack()
  const { path: folder } = scope.use(await temporaryFolder())
  const config = join(folder, 'prometheus.yaml')
  const address = `127.0.0.1:${await freePort()}`
  // A file of JSON is a file of YAML.
  await writeFile(
    config,
    JSON.stringify({
      global: { scrape_interval: '500ms', scrape_timeout: '500ms', evaluation_interval: '500ms' },
      rule_files: [rules],
      scrape_configs: [{ job_name: 'consilium', static_configs: [{ targets: scraped }] }],
    }),
  )
  const child = spawn(
    path,
    [
      ...[`--config.file=${config}`, `--web.listen-address=${address}`, `--storage.tsdb.path=${join(folder, 'data')}`],
      '--log.level=info',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  const ended = once(child, 'exit')
  scope.defer(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const lines: string[] = []
  for await (const line of createInterface(child.stderr)) {
    lines.push(line)
    if (line.includes('Server is ready to receive web requests')) break
  }
  if (child.exitCode !== null) throw new Error(`prometheus did not start: ${lines.slice(-3).join(' / ')}`)
  child.stderr.resume()

  async function ask<T>(what: string): Promise<T> {
    const answer = (await (await fetch(`http://${address}/api/v1/${what}`)).json()) as Answer<T>
    if (answer.status !== 'success') throw new Error(`${what}: ${answer.error}`)
    return answer.data
  }
  const open = scope.move()
  return {
    async query(expression) {
      const { result } = await ask<{ readonly result: readonly Found[] }>(
        `query?${new URLSearchParams({ query: expression })}`,
      )
      return result.map(({ metric, value: [, value] }) => ({ metric, value: Number(value) }))
    },
    rules: async () =>
      (await ask<{ readonly groups: readonly { readonly rules: readonly Rule[] }[] }>('rules')).groups.flatMap(
        (group) => group.rules,
      ),
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}

type Found = { readonly metric: Readonly<Record<string, string>>; readonly value: readonly [number, string] }
type Answer<T> = { readonly status: 'success'; readonly data: T } | { readonly status: 'error'; readonly error: string }
