import { computed, signal } from '@preact/signals'
import { routeOf } from './route.ts'

/** Where in the dashboard we are: the browser's address, and nothing besides. */
const address = signal(new URL(location.href))
export const route = computed(() => routeOf(address.value.pathname))
export const query = computed(() => address.value.searchParams)

addEventListener('popstate', () => {
  address.value = new URL(location.href)
})

function goTo(path: string): void {
  if (path === address.value.pathname + address.value.search) return
  history.pushState(null, '', path)
  address.value = new URL(location.href)
  scrollTo(0, 0)
  // A reader of the screen is told of the new page as one of a page that was loaded is.
  document.getElementById('page')?.focus()
}

/** Changes the query without an entry in the browser's history. */
export function refine(name: string, value: string | null): void {
  const next = new URL(address.value)
  if (value === null) next.searchParams.delete(name)
  else next.searchParams.set(name, value)
  history.replaceState(null, '', next)
  address.value = next
}

/** Links of ours change the page without loading it, unless the reader asks for another tab or a file. */
addEventListener('click', (event) => {
  const link = event.target instanceof Element ? event.target.closest('a') : null
  if (!link || event.defaultPrevented || event.button !== 0) return
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || link.target || link.download) return
  const to = new URL(link.href)
  if (to.origin !== location.origin || routeOf(to.pathname).page === 'nowhere' || to.hash) return
  event.preventDefault()
  goTo(to.pathname + to.search)
})
