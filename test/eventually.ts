/** Asks until it is so: for what other processes do, in their own time. */
export async function comesTrue(condition: () => Promise<boolean>): Promise<void> {
  for (const started = performance.now(); !(await condition()); ) {
    if (performance.now() - started > 20_000) throw new Error(`it never came to ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
