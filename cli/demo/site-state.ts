import { purposeField } from '#protocol/plan.ts'
import { WORK } from '#protocol/work.ts'
import type { SiteState } from '../render/board.ts'
import type { Said } from './process.ts'

/** What a site does after its node said this. */
export function siteAfter(site: SiteState, said: Said): SiteState {
  const { name } = site
  switch (said.type) {
    case 'node.ready':
    case 'node.ended':
      return { name, doing: 'waiting' }
    case 'node.joined':
      return { name, doing: 'joined' }
    case 'node.seated':
      return { name, doing: WORK[purposeField.parse(said['purpose'])] }
    case 'node.training':
      return {
        name,
        doing: 'training',
        epoch: Number(said['epoch']),
        epochs: Number(said['epochs']),
        loss: Number(said['loss']),
      }
    case 'node.reported':
      return { name, doing: 'reported' }
    case 'node.declined':
    case 'node.refused':
    case 'node.failed':
      return { name, doing: 'waiting', reason: String(said['reason']) }
    default:
      return site
  }
}
