/** What went wrong, and what a person can do about it. */
export type Problem = { readonly what: string; readonly fix: string }

/** By name: errors come out of parts of the page that are loaded later. */
export function problemOf(cause: unknown): Problem {
  const { name, message } = cause instanceof Error ? cause : new Error(String(cause))
  switch (name) {
    case 'CoordinatorChanged':
      return {
        what: `The key of this coordinator is not the one that was pinned or given to you: ${message}.`,
        fix: 'Do not lend. Ask whoever runs it, by another way than this page; if the change is theirs, clear this site’s data in the browser, which also forgets this browser’s key.',
      }
    case 'LendsElsewhere':
      return { what: 'Another tab lends to this coordinator already.', fix: 'Use that tab, or close it.' }
    case 'StorageFull':
    case 'QuotaExceededError':
      return {
        what: `What this page must keep finds no room: ${message}.`,
        fix: 'Free disk space, or clear data of other sites, and lend again. In a private window there is little room.',
      }
    case 'NotPicked':
      return { what: `Nothing to train on: ${message}.`, fix: '' }
    case 'TrainerFault':
      return {
        what: `Training could not start: ${message}.`,
        fix: 'Choose another way to train, turn on hardware acceleration in the browser’s settings, or update the browser.',
      }
    case 'SecurityError':
    case 'InvalidStateError':
      return {
        what: `The browser lets this page keep nothing: ${message}.`,
        fix: 'Allow site data for this page: without a journal it could be made to answer twice, and does not lend.',
      }
    default:
      return { what: `${message}.`, fix: 'Reload the page and try again.' }
  }
}

/** What the page cannot do without. */
export function missingHere(): Problem | undefined {
  if (!isSecureContext)
    return {
      what: 'This page came over an open line.',
      fix: 'Open it by https://, or on the coordinator’s own machine.',
    }
  if (!crossOriginIsolated)
    return {
      what: 'Something between this browser and the coordinator took off the headers that keep this page apart from others.',
      fix: 'Open it without that proxy, and not inside of another page.',
    }
  const lacking = (['indexedDB', 'SharedArrayBuffer'] as const).find((name) => !globalThis[name])
  if (lacking)
    return {
      what: `This browser gives this page no ${lacking}.`,
      fix: 'Allow site data for it, update the browser, or use another one.',
    }
  return undefined
}
