import { ulid } from 'ulid'
import { Pins, type PinsDoors } from '#coordinator/pins.ts'
import { Publications } from '#coordinator/publications.ts'

/** What the API has of pins, over a log. */
export function pinDoors(doors: Omit<PinsDoors, 'newPinId'>) {
  const pins = new Pins({ ...doors, newPinId: () => `pin_${ulid()}` })
  const publishing = { publications: new Publications(doors.log), providers: [], quorum: 0 }
  return { pins, publishing, delegates: () => ['/ip4/127.0.0.1/tcp/1/http'] }
}
