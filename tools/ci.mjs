// What .ci/run reads out of its own results. Plain JavaScript for Node 20 or later, no dependency.
import { existsSync, readFileSync } from 'node:fs'

/** Sums Jest's result files. A suite that could not run at all counts as one failure: silence is not success. */
function summary(paths) {
  const sum = { passed: 0, failed: 0, skipped: 0 }
  for (const path of paths) {
    if (!existsSync(path)) sum.failed += 1
    else {
      const result = JSON.parse(readFileSync(path, 'utf8'))
      sum.passed += result.numPassedTests
      sum.failed += result.numFailedTests + result.numRuntimeErrorTestSuites
      sum.skipped += result.numPendingTests + result.numTodoTests
    }
  }
  process.stdout.write(`consilium: ${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped\n`)
  return sum.failed === 0 && sum.passed > 0
}

/** The demo's last line says what came out. @returns the bundle's path on stdout */
function demo([path, least]) {
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  const last = JSON.parse(lines.at(-1))
  const problems = [
    last.type === 'run.completed' || `the last event is ${last.type}, not run.completed`,
    last.accuracy >= Number(least) || `accuracy ${last.accuracy} is below ${least}`,
    last.verify?.ok === true || 'the verification did not pass',
    last.verify?.model === last.model || 'the verified model is another one',
    BigInt(last.ledger.paid) + BigInt(last.ledger.released) === BigInt(last.ledger.budget) ||
      'paid and released do not sum to the budget',
    existsSync(last.bundle) || `no bundle at ${last.bundle}`,
  ].filter((problem) => problem !== true)
  for (const problem of problems) process.stderr.write(`demo: ${problem}\n`)
  process.stderr.write(`demo: accuracy ${last.accuracy}, ${last.rounds} rounds, model ${last.model}\n`)
  process.stdout.write(`${last.bundle}\n`)
  return problems.length === 0
}

const [command, ...rest] = process.argv.slice(2)
const commands = { summary, demo }
if (!commands[command]) throw new Error(`one of: ${Object.keys(commands).join(', ')}`)
process.exitCode = commands[command](rest) ? 0 : 1
