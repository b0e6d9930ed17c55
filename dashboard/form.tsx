import { type ComponentChildren, createContext, type TargetedSubmitEvent } from 'preact'
import { useContext, useId, useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { ApiProblem, Mistake } from './api.ts'
import { problemOf } from './load.ts'
import { WORDS } from './words.ts'

/** What the API found wrong with what was sent last. */
const Mistakes = createContext<readonly Mistake[]>([])

/**
 * The browser's own dialog around a form: it keeps the focus within, Escape closes it, and then the focus is where it was.
 * What the API refuses stands beside the field that it names, and else at the foot.
 */
export function FormDialog(props: {
  readonly title: string
  readonly lead?: string
  readonly act: string
  readonly isDanger?: boolean
  readonly close: () => void
  /**
   * @param once the same for what is sent again as it was, another where something was changed in between
   * @returns what is to be read before the dialog closes, if anything is
   */
  readonly submit: (data: FormData, once: string) => Promise<Shown | undefined>
  readonly children?: ComponentChildren
}) {
  const dialog = useRef<HTMLDialogElement>(null)
  const opener = useRef<Element>(null)
  const onceOf = useOnce()
  const isSending = useRef(false)
  const isDone = useRef(false)
  const [problem, setProblem] = useState<ApiProblem>()
  const [shown, setShown] = useState<Shown>()
  const title = useId()
  useLayoutEffect(() => {
    opener.current = document.activeElement
    dialog.current?.showModal()
  }, [])
  useLayoutEffect(() => {
    dialog.current?.querySelector<HTMLElement>('.mistaken :is(input, select, textarea):enabled')?.focus()
  }, [problem])
  useLayoutEffect(() => {
    if (shown) dialog.current?.querySelector<HTMLElement>('h2')?.focus()
  }, [shown])

  const submit = async (event: TargetedSubmitEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault()
    if (isSending.current) return
    const data = new FormData(event.currentTarget)
    isSending.current = true
    try {
      const made = await props.submit(data, onceOf(data))
      isDone.current = true
      if (made) setShown(made)
      else dialog.current?.close()
    } catch (cause) {
      setProblem(problemOf(cause))
    }
    isSending.current = false
  }
  const closed = () => {
    props.close()
    // What opened it has probably gone with what it was for: then the focus would be nowhere.
    if (props.isDanger && isDone.current) homeOf(opener.current)?.focus()
  }
  return (
    <dialog
      ref={dialog}
      aria-labelledby={title}
      onClose={closed}
      // What is shown this once is not lost by one key.
      onCancel={(event) => shown && event.preventDefault()}
    >
      <h2 id={title} tabIndex={shown && -1}>
        {shown?.title ?? props.title}
      </h2>
      {shown ? (
        <>
          {shown.content}
          <p class="actions">
            <button type="button" class="primary" onClick={() => dialog.current?.close()}>
              {WORDS.form.done}
            </button>
          </p>
        </>
      ) : (
        <form onSubmit={(event) => void submit(event)}>
          {props.lead && <p>{props.lead}</p>}
          <Mistakes.Provider value={problem?.mistakes ?? []}>{props.children}</Mistakes.Provider>
          <div class="foot">
            <p role="alert" class="problem">
              {problem && messageOf(problem, dialog.current?.querySelector('form'))}
            </p>
            <p class="actions">
              <button type="button" onClick={() => dialog.current?.close()}>
                {WORDS.form.cancel}
              </button>
              <button type="submit" class={props.isDanger ? 'danger' : 'primary'}>
                {props.act}
              </button>
            </p>
          </div>
        </form>
      )}
    </dialog>
  )
}

export type Shown = { readonly title: string; readonly content: ComponentChildren }

/** A heading of the part of the page that it was in, or the page. */
function homeOf(opener: Element | null): HTMLElement | null {
  return opener?.closest('section')?.querySelector<HTMLElement>('h2') ?? document.getElementById('page')
}

function useOnce(): (data: FormData) => string {
  const last = useRef({ data: '', key: '' })
  return (data) => {
    const said = JSON.stringify([...data])
    if (last.current.key === '' || last.current.data !== said) last.current = { data: said, key: crypto.randomUUID() }
    return last.current.key
  }
}

/** What stands beside its field already is not said again. */
function messageOf({ mistakes, message, status }: ApiProblem, form: HTMLFormElement | null | undefined): string {
  if (status === 0) return WORDS.failed.unreachable
  const strays = mistakes.filter(({ pointer }) => !form?.elements.namedItem(fieldOf(pointer)))
  if (mistakes.length === 0) return message
  return strays.length === 0 ? WORDS.form.mistaken : strays.map((one) => `${one.pointer} ${one.message}`).join('; ')
}

function fieldOf(pointer: string): string {
  return pointer.split('/')[1] ?? ''
}

type Named = {
  readonly name: string
  readonly id: string
  readonly 'aria-describedby': string | undefined
  readonly 'aria-invalid': boolean
}

/** A field of the request, under the name that the API has for it. */
export function Field(props: {
  readonly name: string
  readonly label: string
  readonly hint?: string | undefined
  readonly children: (named: Named) => ComponentChildren
}) {
  const { name, hint } = props
  const id = useId()
  const { mistakes, parts } = useMistakes(name, hint, id)
  return (
    <div class={mistakes ? 'field mistaken' : 'field'}>
      <label for={id}>{props.label}</label>
      {props.children({ name, id, 'aria-describedby': parts.by, 'aria-invalid': mistakes !== '' })}
      {parts.said}
    </div>
  )
}

/** Several boxes that are one field of the request. */
export function Choices(props: {
  readonly name: string
  readonly label: string
  readonly hint?: string
  readonly children: ComponentChildren
}) {
  const id = useId()
  const { mistakes, parts } = useMistakes(props.name, props.hint, id)
  return (
    <fieldset class={mistakes ? 'field mistaken' : 'field'} aria-describedby={parts.by}>
      <legend>{props.label}</legend>
      {props.children}
      {parts.said}
    </fieldset>
  )
}

/** One of them. @property note what choosing it means */
export function Choice(props: {
  readonly name: string
  readonly value: string
  readonly note: string
  readonly isChosen: boolean
  readonly isBarred?: boolean
}) {
  const id = useId()
  return (
    <div class="choice">
      <input
        type="checkbox"
        id={id}
        name={props.name}
        value={props.value}
        defaultChecked={props.isChosen}
        disabled={props.isBarred}
      />
      <label for={id}>
        <code>{props.value}</code> <span class="note">{props.note}</span>
      </label>
    </div>
  )
}

function useMistakes(name: string, hint: string | undefined, id: string) {
  const mistakes = useContext(Mistakes)
    .filter(({ pointer }) => fieldOf(pointer) === name)
    .map(({ message }) => message)
    .join('; ')
  const by = [hint && `${id}-hint`, mistakes && `${id}-mistake`].filter(Boolean).join(' ') || undefined
  const said = (
    <>
      {hint && (
        <p id={`${id}-hint`} class="note">
          {hint}
        </p>
      )}
      {mistakes && (
        <p id={`${id}-mistake`} class="problem">
          {mistakes}
        </p>
      )}
    </>
  )
  return { mistakes, parts: { by, said } }
}

/** Asks before something that cannot be taken back. */
export function Confirm(props: {
  readonly title: string
  readonly lead: string
  readonly act: string
  readonly asksReason?: boolean
  readonly close: () => void
  readonly confirmed: (reason: string) => Promise<void>
}) {
  const { confirmed, asksReason, ...dialog } = props
  const submit = async (data: FormData) => {
    await confirmed(textIn(data, 'reason'))
    return undefined
  }
  return (
    <FormDialog {...dialog} isDanger submit={submit}>
      {asksReason && (
        <Field name="reason" label={WORDS.form.reason}>
          {(named) => <input {...named} required maxLength={100} autocomplete="off" />}
        </Field>
      )}
    </FormDialog>
  )
}

export function textIn(data: FormData, name: string): string {
  return String(data.get(name) ?? '').trim()
}

/** Something to be taken away as it is: a secret, a command. */
export function ToCopy({ name, text }: { readonly name: string; readonly text: string }) {
  const [said, setSaid] = useState('')
  const shown = useRef<HTMLElement>(null)
  const id = useId()
  const copy = () => {
    if (shown.current) getSelection()?.selectAllChildren(shown.current)
    // A browser gives no clipboard to a page that it does not trust, or whose reader has said no.
    const written = navigator.clipboard?.writeText(text) ?? Promise.reject()
    written.then(
      () => setSaid(WORDS.copied),
      () => setSaid(WORDS.form.selected),
    )
  }
  return (
    <div class="to-copy">
      <p id={id}>{name}</p>
      <code ref={shown}>{text}</code>
      <button type="button" aria-label={WORDS.copy(name)} onClick={copy}>
        {WORDS.form.copy}
      </button>
      <span role="status" class="note">
        {said}
      </span>
    </div>
  )
}
