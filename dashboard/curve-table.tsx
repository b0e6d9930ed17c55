import { useState } from 'preact/hooks'
import { formatFigure } from './format.ts'
import { Card, Sideways } from './parts.tsx'
import type { Curve } from './series.ts'
import { WORDS } from './words.ts'

/** The same numbers as a table, for whoever does not see curves, or does not trust them. */
export function CurveTable({ curves }: { readonly curves: readonly Curve[] }) {
  const rounds = [...new Set(curves.flatMap(({ rounds }) => rounds))].sort((a, b) => a - b)
  const [isOpen, setOpen] = useState(false)
  const maps = isOpen
    ? curves.map(({ rounds: at, values }) => new Map(at.map((round, index) => [round, values[index]])))
    : []
  return (
    <Card>
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>{WORDS.curves.table}</summary>
        {isOpen && (
          <Sideways label={WORDS.curves.table}>
            <table class="plain-table">
              <thead>
                <tr>
                  <th scope="col">{WORDS.curves.round}</th>
                  {curves.map(({ name }) => (
                    <th key={name} scope="col" class="number">
                      {name}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {rounds.map((round) => (
                  <tr key={round}>
                    <th scope="row">{round}</th>
                    {maps.map((map, index) => (
                      <td key={curves[index]?.name} class="number">
                        {formatFigure(map.get(round))}
                      </td>
                    ))}
                  </tr>
                ))}
              </tbody>
            </table>
          </Sideways>
        )}
      </details>
    </Card>
  )
}
