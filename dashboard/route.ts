/** What an address shows. */
export type Route =
  | { readonly page: 'overview' | 'nodes' | 'money' | 'verify' | 'settings' | 'docs' | 'nowhere' }
  | { readonly page: 'run'; readonly run: string; readonly tab: RunTab }
  | { readonly page: 'card'; readonly run: string }

export const RUN_TABS = ['curves', 'timeline', 'rounds', 'matrix', 'logs'] as const
export type RunTab = (typeof RUN_TABS)[number]

/** @param path of an address, without its host */
export function routeOf(path: string): Route {
  const [first = '', second, third, ...rest] = path.replace(/^\/|\/$/g, '').split('/')
  if (rest.length > 0) return { page: 'nowhere' }
  if (first === 'runs' && second) {
    const tab = RUN_TABS.find((name) => name === (third ?? 'curves'))
    return tab ? { page: 'run', run: plain(second), tab } : { page: 'nowhere' }
  }
  if (first === 'models' && second && third === undefined) return { page: 'card', run: plain(second) }
  if (second !== undefined) return { page: 'nowhere' }
  switch (first) {
    case '':
      return { page: 'overview' }
    case 'nodes':
    case 'money':
    case 'verify':
    case 'settings':
    case 'docs':
      return { page: first }
    default:
      return { page: 'nowhere' }
  }
}

function plain(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
