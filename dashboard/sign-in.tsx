import { useEffect, useRef, useState } from 'preact/hooks'
import { Icon } from './icon.tsx'
import { session, signIn } from './session.ts'
import { WORDS } from './words.ts'

export function SignIn() {
  const { value } = session
  const [key, setKey] = useState('')
  const field = useRef<HTMLInputElement>(null)
  const isAsking = value.kind === 'asking'
  useEffect(() => {
    if (!isAsking) field.current?.focus()
  }, [isAsking])
  const submit = (event: Event) => {
    event.preventDefault()
    void signIn(key.trim())
  }
  return (
    <main class="door" id="page" tabIndex={-1}>
      <form onSubmit={submit} class="card">
        <p class="brand">
          <Icon name="mark" /> {WORDS.product}
        </p>
        <h1>{WORDS.signIn.title}</h1>
        <p class="note">{WORDS.signIn.lead}</p>
        <label for="key">{WORDS.signIn.key}</label>
        <input
          id="key"
          ref={field}
          type="password"
          required
          autocomplete="current-password"
          aria-describedby="key-hint"
          value={key}
          onInput={(event) => setKey(event.currentTarget.value)}
        />
        <p id="key-hint" class="note">
          {WORDS.signIn.hint}
        </p>
        <p role="alert" class="problem">
          {value.kind === 'none' ? WORDS.signIn.why[value.why] : ''}
        </p>
        <button type="submit" class="primary" disabled={isAsking}>
          {isAsking ? WORDS.signIn.asking : WORDS.signIn.act}
        </button>
        <p class="note">
          <a href="/verify">{WORDS.nav.verify}</a> · <a href="/docs">{WORDS.nav.api}</a>
        </p>
      </form>
    </main>
  )
}
