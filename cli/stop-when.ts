import { usage } from './arguments.ts'

/** `accuracy>=0.95`, `loss<=0.3`, `loss:3` or `auroc:3:0.001`, as a request says it; what a metric is called the coordinator knows. */
export function stopWhenOf(text: string): object {
  const bound = /^([a-z][a-z0-9-]*)(>=|<=)(-?[0-9.]+)$/.exec(text)
  if (bound) return { metric: bound[1], [bound[2] === '>=' ? 'atLeast' : 'atMost']: realOf(text, bound[3]) }
  const patient = /^([a-z][a-z0-9-]*):([0-9]+)(?::([0-9.]+))?$/.exec(text)
  if (!patient) throw unclear(text)
  const minDelta = patient[3] === undefined ? {} : { minDelta: realOf(text, patient[3]) }
  return { metric: patient[1], patience: Number(patient[2]), ...minDelta }
}

function realOf(text: string, digits = ''): number {
  const value = Number(digits)
  if (Number.isFinite(value)) return value
  throw unclear(text)
}

function unclear(text: string) {
  return usage(
    'bad_value',
    `--stop-when is a metric and when it is good enough, not ${text}`,
    "'accuracy>=0.95', 'loss<=0.3', or 'loss:3:0.001': three rounds in a row that are not better by a thousandth",
  )
}
