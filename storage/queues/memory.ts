import { BrokenInvariant } from '#protocol/assert.ts'
import { QUEUE_JOBS_MAX } from '#protocol/limits.ts'
import type { Clock, Queue } from '#protocol/ports.ts'
import { checkJobId, pauseAfter, QUEUE_DEFAULTS, type QueueOptions } from './options.ts'

/**
 * Jobs in this process's memory: lost with it, and pushed again from the log by recovery. Oldest first. A handler that
 * throws is tried again for ever, after 1, 2, 4 … times the first pause up to the longest: the world may take long to
 * mend, and a job that may be given up says so itself by returning.
 */
export function openMemoryQueue<Job>({ clock, ...options }: MemoryQueueOptions): MemoryQueue<Job> {
  const { concurrency, onFailure, onBroken, ...pauses } = { ...QUEUE_DEFAULTS, ...options }
  const jobs = new Map<string, Waiting<Job>>()
  const ready: Waiting<Job>[] = []
  const workers = new Set<() => void>()

  function enqueue(waiting: Waiting<Job>): void {
    ready.push(waiting)
    for (const wake of workers) wake()
  }

  return {
    get size() {
      return jobs.size
    },
    async push(id, job) {
      checkJobId(id)
      if (jobs.has(id)) return
      if (jobs.size >= QUEUE_JOBS_MAX) throw new Error(`${QUEUE_JOBS_MAX} jobs wait already`)
      const waiting = { id, job, failures: 0 }
      jobs.set(id, waiting)
      enqueue(waiting)
    },
    work(handler) {
      const stop = new AbortController()
      const running = new Set<Promise<void>>()

      const wake = () => {
        while (running.size < concurrency && !stop.signal.aborted) {
          const next = ready.shift()
          if (!next) return
          const done: Promise<void> = run(next).finally(() => {
            running.delete(done)
            wake()
          })
          running.add(done)
        }
      }

      async function run(waiting: Waiting<Job>): Promise<void> {
        try {
          await handler(waiting.job, stop.signal)
          jobs.delete(waiting.id)
        } catch (cause) {
          if (cause instanceof BrokenInvariant) return onBroken(cause)
          if (stop.signal.aborted) return enqueue(waiting)
          waiting.failures++
          onFailure({ id: waiting.id, failures: waiting.failures, cause })
          // Not awaited: a job that waits for the world to mend holds no place among the running.
          clock.wakeAt(clock.now() + pauseAfter(waiting.failures, pauses), stop.signal).then(
            () => enqueue(waiting),
            () => enqueue(waiting),
          )
        }
      }

      workers.add(wake)
      wake()
      return {
        async [Symbol.asyncDispose]() {
          workers.delete(wake)
          // Its pauses end with it, so that another worker may take those jobs.
          stop.abort(new DOMException('the worker stops', 'AbortError'))
          await Promise.all(running)
        },
      }
    },
  }
}

/** How many wait or run. */
export type MemoryQueue<Job> = Queue<Job> & { readonly size: number }

export type MemoryQueueOptions = QueueOptions & { readonly clock: Clock }

type Waiting<Job> = { readonly id: string; readonly job: Job; failures: number }
