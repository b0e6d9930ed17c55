import { sizeOf } from './shapes.ts'
import type { DataContract, Part, TableContract } from './task.ts'

/** Shape of one row's features as the model takes it. */
export function featuresOf(contract: DataContract | Part): readonly number[] {
  switch (contract.kind) {
    case 'image':
      return [contract.height, contract.width, contract.channels]
    case 'table':
      return [contract.columns.reduce((sum, column) => sum + widthOf(column), 0)]
    case 'text':
      return [contract.length]
    case 'joint':
      return [contract.parts.reduce((sum, part) => sum + sizeOf({ shape: featuresOf(part) }), 0)]
  }
}

function widthOf(of: TableContract['columns'][number]): number {
  return (of.kind === 'number' ? 1 : of.levels.length - 1) + (of.gaps ? 1 : 0)
}
