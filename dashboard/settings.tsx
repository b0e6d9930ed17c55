import { Federations } from './federations.tsx'
import { Keys } from './keys.tsx'
import { Card } from './parts.tsx'
import { SETTINGS } from './settings-words.ts'
import { Webhooks } from './webhooks.tsx'

export function SettingsPage() {
  const words = SETTINGS.api
  return (
    <>
      <h1>{SETTINGS.title}</h1>
      <Keys />
      <Webhooks />
      <Federations />
      <Card title={words.title}>
        <p>{words.lead}</p>
        <p>
          <a href="/openapi.json" target="_blank" rel="noreferrer">
            {words.openapi}
          </a>
        </p>
      </Card>
    </>
  )
}
