import type { ComponentType } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { Icon } from './icon.tsx'
import { MoneyPage } from './money.tsx'
import { NodesPage } from './nodes.tsx'
import { OverviewPage } from './overview.tsx'
import { Empty } from './parts.tsx'
import { route } from './place.ts'
import type { Route } from './route.ts'
import { RunPage } from './run.tsx'
import { session, signOut } from './session.ts'
import { SignIn } from './sign-in.tsx'
import { WORDS } from './words.ts'

/** The shell: pages by the address, for whoever is signed in. Verifying and the API's reference need no key. */
export function App() {
  const { value } = session
  const at = route.value
  useEffect(() => {
    document.title = `${titleOf(at)} – ${WORDS.product}`
  }, [at])
  const isSigned = value.kind === 'signed-in'
  if (!isSigned && at.page !== 'verify' && at.page !== 'docs') return <SignIn />
  return (
    <div class="shell">
      <a class="skip" href="#page">
        {WORDS.skip}
      </a>
      <header class="rail">
        <a class="brand" href="/">
          <Icon name="mark" /> {WORDS.product}
        </a>
        <nav aria-label={WORDS.nav.label}>
          {LINKS.map(({ page, path }) => (
            <a key={page} href={path} aria-current={isWithin(at, page) ? 'page' : undefined}>
              <Icon name={page} /> {WORDS.nav[page]}
            </a>
          ))}
        </nav>
        <div class="who">
          <a href="/docs" aria-current={at.page === 'docs' ? 'page' : undefined}>
            {WORDS.nav.api}
          </a>
          {isSigned && (
            <>
              <span class="note">{WORDS.nav.signedIn(value.name)}</span>
              <button type="button" class="plain" onClick={() => void signOut()}>
                {WORDS.nav.signOut}
              </button>
            </>
          )}
        </div>
      </header>
      <main id="page" tabIndex={-1}>
        <Page at={at} />
      </main>
    </div>
  )
}

const LINKS = [
  { page: 'overview', path: '/' },
  { page: 'nodes', path: '/nodes' },
  { page: 'money', path: '/money' },
  { page: 'verify', path: '/verify' },
  { page: 'settings', path: '/settings' },
] as const

function isWithin(at: Route, page: string): boolean {
  return at.page === page || (page === 'overview' && (at.page === 'run' || at.page === 'card'))
}

function titleOf(at: Route): string {
  switch (at.page) {
    case 'run':
      return at.run
    case 'card':
      return WORDS.card.title
    case 'nowhere':
      return WORDS.nowhere.title
    case 'overview':
    case 'nodes':
    case 'money':
    case 'verify':
    case 'settings':
      return WORDS.nav[at.page]
    case 'docs':
      return WORDS.nav.api
  }
}

function Page({ at }: { readonly at: Route }) {
  switch (at.page) {
    case 'overview':
      return <OverviewPage />
    case 'run':
      return <RunPage key={at.run} run={at.run} tab={at.tab} />
    case 'nodes':
      return <NodesPage />
    case 'money':
      return <MoneyPage />
    case 'verify':
      return <Verify />
    case 'card':
      return <CardOf run={at.run} />
    case 'settings':
      return <Settings />
    case 'docs':
      return <Docs />
    case 'nowhere':
      return (
        <>
          <h1>{WORDS.nowhere.title}</h1>
          <p>
            <a href="/">{WORDS.nowhere.back}</a>
          </p>
        </>
      )
  }
}

/** A page that is fetched when it is first opened. */
function later<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let loaded: ComponentType<P> | undefined
  return function Later(props: P) {
    const [is, setIs] = useState<'loading' | 'loaded' | 'away'>('loading')
    useEffect(() => {
      if (!loaded)
        load().then(
          (found) => {
            loaded = found
            setIs('loaded')
          },
          () => setIs('away'),
        )
    }, [])
    const Found = loaded
    return Found ? <Found {...props} /> : <Empty text={is === 'away' ? WORDS.failed.unreachable : WORDS.loading} />
  }
}

const Verify = later(async () => (await import('./verify.tsx')).VerifyPage)
const CardOf = later<{ readonly run: string }>(async () => (await import('./card.tsx')).CardPage)
const Docs = later(async () => (await import('./docs.tsx')).DocsPage)
const Settings = later(async () => (await import('./settings.tsx')).SettingsPage)
