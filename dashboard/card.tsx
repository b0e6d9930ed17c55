import type { ComponentChild } from 'preact'
import { useState } from 'preact/hooks'
import { call } from './api.ts'
import { download } from './csv.ts'
import { problemOf, useLoad } from './load.ts'
import { type Block, type Inline, readMarkdown } from './markdown.ts'
import { Card, Show, Sideways } from './parts.tsx'
import { WORDS } from './words.ts'

const FORMATS = [
  { format: 'safetensors', ending: 'safetensors' },
  { format: 'npz', ending: 'npz' },
  { format: 'tfjs', ending: 'zip' },
  { format: 'raw', ending: 'bin' },
] as const

/** What a model is, what it was made of and how good it is, in the words of its card. */
export function CardPage({ run }: { readonly run: string }) {
  const path = `/v1/runs/${encodeURIComponent(run)}`
  const [loaded, again] = useLoad(async (signal) => (await call(`${path}/card`, { signal })).text(), run)
  const words = WORDS.card
  return (
    <>
      <p>
        <a href={`/runs/${run}`}>{`← ${run}`}</a>
      </p>
      <h1>{words.title}</h1>
      <div class="columns">
        <Card class="wide prose">
          <Show loaded={loaded} again={again}>
            {(text) => <Prose text={text} />}
          </Show>
        </Card>
        <Card title={words.downloads}>
          <p class="stacked">
            {FORMATS.map((one) => (
              <Download key={one.format} path={`${path}/model?format=${one.format}`} run={run} {...one} />
            ))}
            {loaded.state === 'ready' && (
              <button type="button" onClick={() => download(`${run}-README.md`, loaded.value, 'text/markdown')}>
                {words.source}
              </button>
            )}
          </p>
          <p class="note">{words.downloadsHint}</p>
        </Card>
      </div>
    </>
  )
}

function Download(props: {
  readonly path: string
  readonly run: string
  readonly format: (typeof FORMATS)[number]['format']
  readonly ending: string
}) {
  const [problem, setProblem] = useState('')
  const fetchIt = async () => {
    try {
      setProblem('')
      const response = await call(props.path)
      download(`${props.run}.${props.ending}`, await response.arrayBuffer(), 'application/octet-stream')
    } catch (cause) {
      setProblem(problemOf(cause).message)
    }
  }
  return (
    <>
      <button type="button" onClick={() => void fetchIt()}>
        {props.format}
      </button>
      <span class="note">{WORDS.card.formats[props.format]}</span>
      {problem && (
        <span role="alert" class="problem">
          {problem}
        </span>
      )}
    </>
  )
}

function Prose({ text }: { readonly text: string }) {
  const { metadata, blocks } = readMarkdown(text)
  return (
    <>
      {blocks.map((block, index) => (
        <Part key={index} block={block} />
      ))}
      {metadata && (
        <details>
          <summary>{WORDS.card.metadata}</summary>
          <pre>{metadata}</pre>
        </details>
      )}
    </>
  )
}

/** Headings start below the page's own. */
function Part({ block }: { readonly block: Block }) {
  switch (block.kind) {
    case 'heading': {
      const Tag = `h${Math.min(6, block.level + 1)}` as 'h2'
      return <Tag>{spans(block.of)}</Tag>
    }
    case 'paragraph':
      return <p>{spans(block.of)}</p>
    case 'code':
      return <pre>{block.text}</pre>
    case 'list': {
      const Tag = block.ordered ? 'ol' : 'ul'
      return (
        <Tag>
          {block.items.map((item, index) => (
            <li key={index}>{spans(item)}</li>
          ))}
        </Tag>
      )
    }
    case 'table':
      return (
        <Sideways label={textOf(block.head)}>
          <table class="plain-table">
            <thead>
              <tr>
                {block.head.map((cell, index) =>
                  cell.length === 0 ? (
                    <td key={index} />
                  ) : (
                    <th key={index} scope="col">
                      {spans(cell)}
                    </th>
                  ),
                )}
              </tr>
            </thead>
            <tbody>
              {block.rows.map((row, index) => (
                <tr key={index}>
                  {row.map((cell, column) => (
                    <td key={column}>{spans(cell)}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </Sideways>
      )
  }
}

/** Of a table's head. */
function textOf(head: readonly (readonly Inline[])[]): string {
  return head.flatMap((cell) => cell.map((inline) => ('text' in inline ? inline.text : ''))).join(' ')
}

function spans(inlines: readonly Inline[]): ComponentChild[] {
  return inlines.map(span)
}

function span(inline: Inline): ComponentChild {
  switch (inline.kind) {
    case 'text':
      return inline.text
    case 'code':
      return <code>{inline.text}</code>
    case 'strong':
      return <strong>{spans(inline.of)}</strong>
    case 'emphasis':
      return <em>{spans(inline.of)}</em>
    case 'link':
      return (
        <a href={inline.to} rel="noreferrer">
          {spans(inline.of)}
        </a>
      )
  }
}
