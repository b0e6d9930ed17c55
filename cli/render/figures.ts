/** A figure as the API and the command line tell it; of one that this version does not know, too. */
export type ShownFigure = Value & {
  readonly name: string
  /** Of several labels, in the order of the contract: of each its own. */
  readonly by_label?: readonly Value[] | undefined
}
type Value = { readonly value: number | null; readonly within: number }

type Figures = readonly ShownFigure[] | undefined

/** A line for each figure that a task asks for beside accuracy and loss. @param width of the names before it */
export function figureLines(figures: Figures, width = 10): readonly string[] {
  return (figures ?? []).map((figure) => {
    const each = figure.by_label && `; by label ${figure.by_label.map(valueText).join(' ')}`
    return `${figure.name.padEnd(width)} ${figureText(figure)}${each ?? ''}`
  })
}

/** What a model is worth in one line, for it is mostly this that is looked for; of numbers the loss, since no row is right. */
export function scoreLine(
  { accuracy, loss }: { readonly accuracy: number | null; readonly loss: number },
  tested: string,
  width = 10,
): string {
  const [name, value] = accuracy === null ? ['loss', loss] : ['accuracy', accuracy]
  return `${name.padEnd(width)} ${value.toFixed(4)} ${tested}`
}

/** All figures on one line. */
export function figuresText(figures: Figures): string {
  return (figures ?? []).map((figure) => `${figure.name} ${valueText(figure)}`).join('  ')
}

function figureText(figure: ShownFigure): string {
  const { value, within } = figure
  return value !== null && within > 0 ? `${valueText(figure)} (within ${within.toFixed(4)})` : valueText(figure)
}

export function valueText({ value }: Pick<ShownFigure, 'value'>): string {
  return value?.toFixed(4) ?? 'none'
}
