import type { Settlement } from '#protocol/ports.ts'
import type { Obligation } from '../obligations.ts'
import type { EffectHandler } from '../runner.ts'
import { aggregateEffect } from './aggregate.ts'
import { type ClearDoors, clearEffect } from './clear.ts'
import { finishEffect } from './finish.ts'
import { holdEffect } from './hold.ts'
import { type OpenDoors, openEffect } from './open.ts'
import { recountEffect } from './recount.ts'
import { type SessionDoors, sessionEffects } from './session.ts'
import { settleEffect } from './settle.ts'

export type HandlersDoors = SessionDoors & OpenDoors & ClearDoors & { readonly settlement: Settlement }

/** Who does what a run owes. */
export function handlersOver(doors: HandlersDoors): Readonly<Record<Obligation['kind'], EffectHandler>> {
  return {
    hold: holdEffect(doors),
    recount: recountEffect(doors),
    open: openEffect(doors),
    ...sessionEffects(doors),
    aggregate: aggregateEffect(doors),
    settle: settleEffect(doors),
    finish: finishEffect(doors),
    clear: clearEffect(doors),
  }
}
