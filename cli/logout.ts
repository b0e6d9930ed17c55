import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { profileOf } from './login.ts'
import { keepSettings, SECRET } from './profile.ts'

/** `consilium logout`: forgets the key. It stays good at the coordinator until it is revoked there. */
export async function execute({ args, output }: Call): Promise<number> {
  const { name, file, settings } = profileOf(args)
  const had = settings[SECRET] !== undefined
  if (had) keepSettings(file, name, { [SECRET]: undefined })
  if (output.json) output.object({ profile: name, config: file, forgotten: had })
  else output.line(had ? `the key of ${name} is forgotten` : `there is no key of ${name}`)
  if (had) output.note('it is still good at the coordinator: consilium keys revoke ends that')
  return EXIT.ok
}
