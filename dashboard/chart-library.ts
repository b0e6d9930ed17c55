import { useEffect, useState } from 'preact/hooks'

type Library = typeof import('./chart.ts').Chart

/** What draws charts, fetched with the first of them. */
export function useChartLibrary(): Library | undefined {
  const [library, setLibrary] = useState<{ readonly Chart: Library }>()
  // Where it cannot be fetched, the table of the same figures is there.
  useEffect(() => void import('./chart.ts').then(setLibrary, () => undefined), [])
  return library?.Chart
}
