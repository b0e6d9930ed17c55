import { render } from 'preact'
import { App } from './app.tsx'
import { begin } from './session.ts'

void begin()
// An address with a key may be given to a page that is open already.
addEventListener('hashchange', () => void begin())
const place = document.getElementById('app')
if (place) render(<App />, place)
