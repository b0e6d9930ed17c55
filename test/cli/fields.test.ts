import { describe, expect, test } from '@jest/globals'
import { COMMANDS } from '#cli/commands.ts'
import { projection } from '#cli/fields.ts'
import { here } from './here.ts'

function of(command: string, fields: string): (value: object) => object {
  const found = COMMANDS.find(({ name }) => name === command)
  if (!found) throw new Error(`there is no ${command}`)
  return projection(found, fields)
}

describe('--json=field,field', () => {
  test('keeps fields at their places, through lists, and whole where one is wanted whole', () => {
    const page = { data: [{ id: 'a', status: 'running', evaluation: { loss: 1, rows: 9 } }, { id: 'b' }], next: null }
    expect(of('runs ls', 'data.id,next')(page)).toEqual({ data: [{ id: 'a' }, { id: 'b' }], next: null })
    expect(of('runs ls', 'data.evaluation.loss')(page)).toEqual({
      data: [{ evaluation: { loss: 1 } }, { evaluation: null }],
    })
    expect(of('runs ls', 'data.id, data ,data.status')(page)).toEqual({ data: page.data })
  })

  test('writes null where there is nothing, and what is inherited is nothing', () => {
    const show = of('runs show', 'id,evaluation.loss,history.round')
    expect(show({ id: 'a', evaluation: null })).toEqual({ id: 'a', evaluation: null, history: null })
    expect(of('runs watch', 'type,constructor')({ type: 'run.created' })).toEqual({
      type: 'run.created',
      constructor: null,
    })
  })

  test('takes any field of what says nothing of its fields', () => {
    expect(of('runs watch', 'seq,anything.at.all')({ seq: 1, anything: { at: { all: 2 } } })).toEqual({
      seq: 1,
      anything: { at: { all: 2 } },
    })
  })

  test('names what is not known, with what was probably meant', () => {
    for (const [command, fields, meant] of [
      ['runs show', 'satus', 'status'],
      ['runs show', 'history.rund', 'history.round'],
      ['runs ls', 'id', 'data.id'],
      ['node up', 'train_millis', undefined],
      ['verify', 'ledger.paid.micro', undefined],
    ] as const)
      expect(() => of(command, fields)).toThrow(
        expect.objectContaining({
          ...{ code: 'unknown_field', exit: 2, message: `${command} has no ${fields}` },
          lines: [[fields, meant ? `did you mean ${meant}?` : expect.any(String)]],
        }),
      )
    expect(() => of('api', 'id')).toThrow(expect.objectContaining({ code: 'no_fields' }))
  })

  test('is read before anything is done, and errors are JSON then, too', async () => {
    const wrong = await here(['node', 'id', '--state', '/nonexistent/node', '--json=nod'])
    expect(wrong).toMatchObject({ code: 2, stdout: '' })
    expect(JSON.parse(wrong.stderr)).toMatchObject({ code: 'unknown_field' })
    const apart = await here(['version', '--json', 'version,arch'])
    expect(JSON.parse(apart.stderr)).toMatchObject({ code: 'unexpected_argument', fix: '--json=version,arch' })
    const right = await here(['--json=version,arch', 'version'])
    expect(JSON.parse(right.stdout)).toEqual({ version: expect.any(String), arch: process.arch })
  })
})

test('--color is over the environment, which is over the stream', async () => {
  const red = `${String.fromCharCode(27)}[31m`
  const failing = (...words: string[]) =>
    here(['demmo', ...words], { FORCE_COLOR: words.includes('never') ? '1' : '0' })
  expect((await failing('--color', 'always')).stderr).toContain(red)
  expect((await failing('--color=never')).stderr).not.toContain(red)
  expect((await failing('--color', 'never')).stderr).not.toContain(red)
  expect(await here(['--color', 'sometimes', 'version'])).toMatchObject({ code: 2, stdout: '' })
})
