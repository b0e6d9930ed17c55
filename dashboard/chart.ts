import UPlot from 'uplot'
import { bestOf, type Curve, joined, strokeOf } from './series.ts'

export type ChartOptions = {
  readonly curves: readonly Curve[]
  readonly isLog: boolean
  readonly best: 'least' | 'most' | undefined
  readonly heightPixels: number
  /** The round that the cursor is at, and where it is in the joined axis. */
  readonly pointed: (index: number | undefined) => void
}

/** A canvas knows no variables of a style: what each comes to, in the colours of now, is read off an element. */
function inksOf(box: HTMLElement): (name: string) => string {
  const probe = box.appendChild(document.createElement('span'))
  probe.hidden = true
  return (name) => {
    probe.style.color = `var(${name})`
    return getComputedStyle(probe).color
  }
}

/** Lines over rounds, drawn by uPlot into an element. */
export class Chart implements Disposable {
  readonly #plot: UPlot
  readonly #sizes: ResizeObserver
  readonly #theme = matchMedia('(prefers-color-scheme: dark)')
  readonly #again = (): void => this.#plot.redraw()
  #options: ChartOptions

  constructor(box: HTMLElement, options: ChartOptions) {
    this.#options = options
    const ink = inksOf(box)
    this.#theme.addEventListener('change', this.#again)
    const axis = {
      stroke: () => ink('--faint'),
      grid: { stroke: () => ink('--line'), width: 1 },
      ticks: { show: false },
    }
    const font = '12px system-ui, sans-serif'
    this.#plot = new UPlot(
      {
        width: Math.max(1, box.clientWidth),
        height: options.heightPixels,
        legend: { show: false },
        padding: [10, 12, 0, 0],
        cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
        scales: {
          x: { time: false },
          y: { distr: options.isLog ? 3 : 1 },
        },
        axes: [
          { ...axis, font, size: 30, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000] },
          { ...axis, font, size: 52 },
        ],
        series: [
          {},
          ...options.curves.map(({ name, isOther, line }, index) => {
            const stroke = strokeOf(line ?? index)
            return {
              label: name,
              stroke: () => ink(`--ink-${stroke.ink}`),
              width: isOther ? 1.5 : 2,
              dash: isOther ? [3, 4] : stroke.dash.split(' ').filter(Boolean).map(Number),
              spanGaps: true,
              points: { show: (plot: UPlot) => (plot.data[0].length < 40) as boolean, size: 5 },
            }
          }),
        ],
        hooks: {
          setCursor: [(plot) => this.#options.pointed(plot.cursor.idx ?? undefined)],
          draw: [(plot) => this.#mark(plot, ink('--text'))],
        },
      },
      joined(options.curves) as unknown as UPlot.AlignedData,
      box,
    )
    this.#sizes = new ResizeObserver(() =>
      this.#plot.setSize({ width: Math.max(1, box.clientWidth), height: options.heightPixels }),
    )
    this.#sizes.observe(box)
  }

  draw(options: ChartOptions): void {
    this.#options = options
    this.#plot.setData(joined(options.curves) as unknown as UPlot.AlignedData)
  }

  /** Moves the cursor to a place of the joined axis. */
  point(index: number): void {
    const round = this.#plot.data[0][index]
    if (round !== undefined) this.#plot.setCursor({ left: this.#plot.valToPos(round, 'x'), top: 0 })
  }

  /** A ring around the best value of the first line. */
  #mark(plot: UPlot, ink: string): void {
    const { best, curves } = this.#options
    const [first] = curves
    const index = first && best ? bestOf(first, best) : undefined
    if (!first || index === undefined) return
    const x = plot.valToPos(first.rounds[index] as number, 'x', true)
    const y = plot.valToPos(first.values[index] as number, 'y', true)
    const { ctx } = plot
    ctx.save()
    ctx.strokeStyle = ink
    ctx.lineWidth = 1.5 * devicePixelRatio
    ctx.beginPath()
    ctx.arc(x, y, 6 * devicePixelRatio, 0, 2 * Math.PI)
    ctx.stroke()
    ctx.restore()
  }

  [Symbol.dispose](): void {
    this.#sizes.disconnect()
    this.#theme.removeEventListener('change', this.#again)
    this.#plot.destroy()
  }
}
