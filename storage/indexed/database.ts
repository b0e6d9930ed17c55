import { StorageFull } from '#protocol/ports.ts'

/** What one page keeps: each of its stores has one owner, beside this file or a log or blobs that are given the database. */
const STORES = ['streams', 'blocks', 'roots', 'settings', 'receipts'] as const
export type StoreName = (typeof STORES)[number]

/** A page's database. Another tab's older version is waited for; one that comes after ours makes us let go. */
export function openPageDatabase(name: string): Promise<IDBDatabase> {
  const { promise, resolve, reject } = Promise.withResolvers<IDBDatabase>()
  const opening = indexedDB.open(name, 1)
  opening.onupgradeneeded = () => {
    for (const store of STORES) opening.result.createObjectStore(store)
  }
  opening.onsuccess = () => {
    opening.result.onversionchange = () => opening.result.close()
    resolve(opening.result)
  }
  opening.onerror = () => reject(faultOf(opening.error))
  return promise
}

/**
 * One transaction, durable when this answers: the default of browsers answers once the operating system has the bytes, and a
 * page must not say what a loss of power would make it forget.
 *
 * @param work may wait for requests of this transaction, and for nothing else: it would be over
 */
export async function write<T>(
  database: IDBDatabase,
  stores: readonly StoreName[],
  work: (store: (name: StoreName) => IDBObjectStore) => Promise<T>,
): Promise<T> {
  const transaction = database.transaction([...stores], 'readwrite', { durability: 'strict' })
  const done = Promise.withResolvers<void>()
  transaction.oncomplete = () => done.resolve()
  transaction.onabort = () => done.reject(faultOf(transaction.error))
  // Heard below, also where the work fails first.
  done.promise.catch(() => undefined)
  try {
    const made = await work((name) => transaction.objectStore(name))
    await done.promise
    return made
  } catch (cause) {
    if (transaction.error === null) {
      try {
        transaction.abort()
      } catch {
        // It is over already, and why is what is thrown.
      }
    }
    throw cause
  }
}

export function readFrom<T>(
  database: IDBDatabase,
  store: StoreName,
  ask: (store: IDBObjectStore) => IDBRequest<T>,
): Promise<T> {
  return answered(ask(database.transaction(store, 'readonly').objectStore(store)))
}

export function answered<T>(request: IDBRequest<T>): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  request.onsuccess = () => resolve(request.result)
  request.onerror = () => reject(faultOf(request.error))
  return promise
}

function faultOf(cause: DOMException | null): Error {
  if (cause?.name === 'QuotaExceededError')
    return new StorageFull('the browser gives this page no more room', { cause })
  return cause ?? new Error('the transaction was given up')
}
