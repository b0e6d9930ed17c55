/** What some work costs, in milliseconds: CPU of the whole process, user and system, and time on the wall. */
export async function timed<T>(
  work: () => T | Promise<T>,
): Promise<{ readonly value: T; readonly cpu: number; readonly wall: number }> {
  const [cpu, start] = [process.cpuUsage(), performance.now()]
  const value = await work()
  const used = process.cpuUsage(cpu)
  return { value, cpu: (used.user + used.system) / 1_000, wall: performance.now() - start }
}
