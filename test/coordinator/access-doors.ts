import { ulid } from 'ulid'
import { ApiKeys, type ApiKeysDoors } from '#coordinator/api-keys.ts'
import { Audit } from '#coordinator/audit.ts'
import { SignIns } from '#coordinator/sign-ins.ts'
import { SignOuts } from '#coordinator/sign-outs.ts'
import { sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'

const SECRET = sha256(utf8("the coordinator's"))

/** What the API has of who may call it, over a log: the root key is `key`. */
export function accessDoors({ log, clock }: Pick<ApiKeysDoors, 'log' | 'clock'>) {
  return {
    keyHash: sha256(utf8('key')),
    keys: new ApiKeys({ log, clock, newKeyId: () => `key_${ulid()}`, secret: SECRET }),
    signIns: new SignIns(SECRET),
    signOuts: new SignOuts({ log, clock }),
    audit: new Audit(log),
  }
}
