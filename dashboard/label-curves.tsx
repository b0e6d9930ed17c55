import { useState } from 'preact/hooks'
import { get } from './api.ts'
import { ChartBox } from './chart-box.tsx'
import { CurveTable } from './curve-table.tsx'
import type { RunHistory } from './history.ts'
import { useLoad } from './load.ts'
import { labelCurves, labelFigures, smooth } from './series.ts'
import { WORDS } from './words.ts'

type Props = { readonly history: RunHistory; readonly task: string; readonly smoothing: number }

/** Of rows of several labels, what the models are worth for each of them. One figure at a time: of all of them no line would be seen. */
export function LabelCurves(props: Props) {
  const figures = labelFigures(props.history)
  return figures.length === 0 ? null : <OfFigures {...props} figures={figures} />
}

function OfFigures({ history, task, smoothing, figures }: Props & { readonly figures: readonly string[] }) {
  const [chosen, choose] = useState(figures[0] as string)
  const [loaded] = useLoad((signal) => get<Order>(`/v1/tasks/${encodeURIComponent(task)}`, signal), task)
  const labels = loaded.state === 'ready' ? (loaded.value.data?.label?.labels ?? []) : []
  const curves = labelCurves(
    history,
    chosen,
    labels.map(({ column }) => column),
  )
  return (
    <>
      {figures.length > 1 && (
        <div class="controls">
          <label>
            {WORDS.curves.byLabel}
            <select value={chosen} onChange={(event) => choose(event.currentTarget.value)}>
              {figures.map((name) => (
                <option key={name} value={name}>
                  {name}
                </option>
              ))}
            </select>
          </label>
        </div>
      )}
      <ChartBox
        title={WORDS.curves.labelTitle(chosen)}
        curves={curves.map((curve) => ({ ...curve, values: smooth(curve.values, smoothing) }))}
        isLog={false}
      />
      <CurveTable curves={curves} />
    </>
  )
}

/** What is asked of a task: what its labels are called. */
type Order = { readonly data?: { readonly label?: { readonly labels?: readonly { readonly column: string }[] } } }
