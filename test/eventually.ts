/** Asks until it is so: for what other processes do, in their own time. So long that whoever gives up has hung, and says on what. */
export async function comesTrue(condition: () => Promise<boolean>, limitMillis = 50_000): Promise<void> {
  for (const started = performance.now(); !(await condition()); ) {
    if (performance.now() - started > limitMillis) throw new Error(`it never came to ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
